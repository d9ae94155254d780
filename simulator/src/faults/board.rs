//! The armed faults, and which of them meets a request.

use super::{Fault, FaultSpec, RequestKind, Times};
use serde::Serialize;

/// An armed fault as the control lists it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArmedFault {
    /// To disarm it by.
    pub id: u64,
    /// What was armed.
    #[serde(flatten)]
    pub spec: FaultSpec,
    /// Matching requests seen, the ones left alone included.
    pub seen: u32,
    /// How often it happened.
    pub fired: u32,
}

impl ArmedFault {
    /// Whether it can still happen.
    pub fn is_live(&self) -> bool {
        match self.spec.times {
            Times::Always => true,
            Times::Count(count) => self.fired < count,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct FaultBoard {
    armed: Vec<ArmedFault>,
    next_id: u64,
}

/// What is known of a request when faults are matched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) kind: RequestKind,
    /// The mailbox's address.
    pub(crate) mailbox: Option<&'a str>,
    /// Both ids of the message.
    pub(crate) message: Option<(&'a str, &'a str)>,
}

impl FaultBoard {
    pub(crate) fn arm(&mut self, spec: FaultSpec) -> u64 {
        self.next_id += 1;
        self.armed.push(ArmedFault {
            id: self.next_id,
            spec,
            seen: 0,
            fired: 0,
        });
        self.next_id
    }

    pub(crate) fn list(&self) -> Vec<ArmedFault> {
        self.armed.clone()
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    pub(crate) fn disarm(&mut self, id: u64) -> bool {
        let before = self.armed.len();
        self.armed.retain(|a| a.id != id);
        self.armed.len() != before
    }

    /// The first armed fault that meets this request; it counts as happened.
    pub(crate) fn meet(&mut self, target: Target<'_>) -> Option<Fault> {
        for armed in self.armed.iter_mut().filter(|a| a.is_live()) {
            if !armed.spec.aims_at(target) {
                continue;
            }
            armed.seen += 1;
            if armed.seen > armed.spec.after {
                armed.fired += 1;
                return Some(armed.spec.fault.clone());
            }
        }
        None
    }
}

impl FaultSpec {
    fn aims_at(&self, target: Target<'_>) -> bool {
        let mailbox = self
            .mailbox
            .as_deref()
            .is_none_or(|m| target.mailbox.is_some_and(|t| t.eq_ignore_ascii_case(m)));
        let message = self
            .message
            .as_deref()
            .is_none_or(|m| target.message.is_some_and(|(a, b)| a == m || b == m));
        (self.on == RequestKind::Any || self.on == target.kind) && mailbox && message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_happens_as_often_as_told_and_stops() {
        let mut board = FaultBoard::default();
        board.arm(
            FaultSpec::once(RequestKind::Value, Fault::EmptyNotFound)
                .after(1)
                .times(2)
                .mailbox("A@x.test"),
        );
        let at = |kind, mailbox| Target {
            kind,
            mailbox: Some(mailbox),
            message: None,
        };
        assert_eq!(board.meet(at(RequestKind::Delta, "a@x.test")), None);
        assert_eq!(board.meet(at(RequestKind::Value, "b@x.test")), None);
        let met: Vec<bool> = (0..5)
            .map(|_| board.meet(at(RequestKind::Value, "a@x.test")).is_some())
            .collect();
        assert_eq!(met, [false, true, true, false, false]);
        assert!(!board.list()[0].is_live());
    }
}
