//! Actions are begun: as many at once as there are slots, several marks in one request where that is faster.

use std::sync::Arc;

use futures::FutureExt as _;

use crate::{account::AfterImport, graph::IN_FLIGHT};

use super::{
    action::{self, ACTIONS_OF_A_RUN},
    drive::{Done, Drive},
};

impl Drive<'_> {
    pub(super) fn begin_acting(&mut self) {
        while self.acting < IN_FLIGHT && self.actions_begun < ACTIONS_OF_A_RUN {
            let Some((action, _)) = self.work.action_queue.front() else {
                return;
            };
            match self.destinations.get(&action.wanted) {
                Some(Some(destination)) => {
                    let destination = Arc::clone(destination);
                    if !self.begin_marking() {
                        self.begin_action(destination);
                    }
                }
                Some(None) => return,
                None => return self.begin_destination(action.wanted.clone()),
            }
        }
    }

    /// Whether slots are free that only actions could fill, of messages that wait for a record: these do not wait for the last
    /// mails, which may be large. A few at a time, because a commit has its price, too.
    pub(super) fn slots_want_actions(&self) -> bool {
        let busy = self.fetching + self.acting + self.reading;
        let work = &self.work;
        if self.end.stop.is_some() || busy >= IN_FLIGHT || !work.admitted.is_empty() || !work.action_queue.is_empty() {
            return false;
        }
        let waiting = work.ready.iter().filter(|decision| decision.action.is_some()).count();
        waiting >= IN_FLIGHT || (waiting > 0 && self.fetching + self.reading == 0)
    }

    fn begin_action(&mut self, destination: Arc<action::Destination>) {
        let Some((action, seen_here)) = self.work.action_queue.pop_front() else {
            return;
        };
        self.acting += 1;
        self.actions_begun += 1;
        let scene = Arc::clone(&self.scene);
        self.tasks.push(
            async move {
                let before = action.clone();
                let now = scene.ports.clock.now();
                let acted = action::act(&scene.client, action, &destination, seen_here, now).await;
                Done::Acted(vec![(before, acted)])
            }
            .boxed(),
        );
    }

    /// Begins to mark the messages at the front together; `false` if that is not what they want, or no faster.
    fn begin_marking(&mut self) -> bool {
        let mark = AfterImport::MarkRead.to_string();
        let queue = &mut self.work.action_queue;
        let waiting = queue.iter().take_while(|(action, _)| action.wanted == mark).count();
        let left = usize::try_from(ACTIONS_OF_A_RUN - self.actions_begun).unwrap_or(usize::MAX);
        let together = self.scene.client.marks_at_once(waiting).min(left);
        if together < 2 || waiting < 2 {
            return false;
        }
        let marks: Vec<_> = queue.drain(..together).map(|(action, _)| action).collect();
        self.acting += 1;
        self.actions_begun += marks.len() as u64;
        let scene = Arc::clone(&self.scene);
        self.tasks.push(
            async move { Done::Acted(action::mark_together(&scene.client, marks, scene.ports.clock.now()).await) }
                .boxed(),
        );
        true
    }

    /// Where mail is moved to is looked up once per run.
    fn begin_destination(&mut self, wanted: String) {
        self.destinations.insert(wanted.clone(), None);
        self.acting += 1;
        let scene = Arc::clone(&self.scene);
        self.tasks.push(
            async move {
                let destination = action::look_up(&scene.client, &wanted, scene.ports.clock.now()).await;
                Done::Destination(wanted, destination)
            }
            .boxed(),
        );
    }
}
