//! Faults that a test arms on a memory adapter: which call, after how many, how often, and what it answers.

use std::sync::{Arc, Mutex, PoisonError};

/// Armed faults of one adapter: `C` names its calls, `F` its faults.
pub struct Faults<C, F>(Arc<Mutex<Vec<Armed<C, F>>>>);

struct Armed<C, F> {
    call: Option<C>,
    fault: F,
    skip: usize,
    times: usize,
}

impl<C, F> Default for Faults<C, F> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<C, F> Clone for Faults<C, F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Copy + PartialEq, F: Copy> Faults<C, F> {
    /// The next `times` calls of this kind (`None`: of any kind) answer with the fault.
    pub fn arm(&self, call: impl Into<Option<C>>, fault: F, times: usize) {
        self.arm_after(call, fault, 0, times);
    }

    /// Lets `skip` such calls pass first.
    pub fn arm_after(&self, call: impl Into<Option<C>>, fault: F, skip: usize, times: usize) {
        if times > 0 {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Armed {
                call: call.into(),
                fault,
                skip,
                times,
            });
        }
    }

    /// Disarms everything.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many faults have not happened yet.
    pub fn armed(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The fault this call meets. Every armed fault counts the calls it fits; the first that is due happens.
    pub fn meet(&self, call: C) -> Option<F> {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut met = None;
        for one in armed.iter_mut().filter(|one| one.call.is_none_or(|kind| kind == call)) {
            if one.skip > 0 {
                one.skip -= 1;
            } else if met.is_none() {
                one.times -= 1;
                met = Some(one.fault);
            }
        }
        armed.retain(|one| one.times > 0);
        met
    }
}

#[cfg(test)]
mod tests {
    use super::Faults;

    #[test]
    fn skips_then_fires_then_is_spent() {
        let faults = Faults::<u8, &str>::default();
        faults.arm_after(1, "bad", 1, 2);
        let met: Vec<_> = [1, 2, 1, 1, 1].map(|call| faults.meet(call)).into();
        assert_eq!(met, [None, None, Some("bad"), Some("bad"), None]);
        assert_eq!(faults.armed(), 0);
    }

    #[test]
    fn any_call_fits_none() {
        let faults = Faults::<u8, &str>::default();
        faults.arm(None, "bad", 1);
        assert_eq!(faults.meet(7), Some("bad"));
    }
}
