//! What a storm brings from outside: faults of the wire and of the stores, and mailboxes that change.

use std::{rc::Rc, time::Duration};

use rand::Rng as _;
use simulator::Latency;

use super::{Storm, plan};

impl Storm {
    /// What happens outside.
    pub(super) async fn weather(self: Rc<Self>) {
        for _ in 0..self.shape.acts {
            let pause = self.draw(|rng| match rng.random_range(0..20) {
                0 if rng.random_ratio(1, 3) => rng.random_range(0..20 * 3_600_000),
                0..4 => rng.random_range(0..1_200_000),
                4..8 => rng.random_range(0..60_000),
                _ => rng.random_range(0..800),
            });
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let kind = self.draw(|rng| rng.random_range(0..20));
            if !self.happens() {
                continue;
            }
            match kind {
                0..5 if self.shape.wire => {
                    let spec = self.draw(plan::wire_fault);
                    self.say(format!("fault {spec:?}"));
                    self.world.simulator.arm(spec);
                }
                5 | 6 if self.shape.wire => {
                    self.say("the wire is mended");
                    self.world.simulator.clear_faults();
                }
                7 if self.shape.wire => {
                    self.say("tokens revoked");
                    self.world.simulator.revoke_tokens();
                }
                8 | 9 if self.shape.stores => self.arm_adapters(),
                10 => {
                    let service = self.draw(|rng| rng.random_range(0..400));
                    self.world.simulator.set_latency(Latency {
                        service: Duration::from_millis(service),
                        network: Duration::from_millis(service / 3),
                    });
                }
                _ => {
                    let act = self.draw(|rng| plan::mailbox_act(rng, &self.world.simulator, self.shape.folders));
                    self.say(act);
                }
            }
        }
        self.over.set(true);
    }

    fn arm_adapters(&self) {
        let memory = &self.world.memory;
        match self.draw(|rng| rng.random_range(0..6)) {
            0 => {
                let (fault, times) = self.draw(plan::publisher_fault);
                self.say(format!("publisher {fault:?} {times}"));
                memory.publisher.faults().arm(None, fault, times);
            }
            1 => {
                let (call, fault, times) = self.draw(plan::vault_fault);
                self.say(format!("vault {call:?} {fault:?} {times}"));
                memory.vault.faults().arm(call, fault, times);
            }
            _ => {
                let (call, fault, skip, times) = self.draw(plan::store_fault);
                self.say(format!("store {call:?} {fault:?} {skip} {times}"));
                memory.store.faults().arm_after(call, fault, skip, times);
            }
        }
    }
}
