//! Calls of a Python function from the threads that compute.

use std::sync::Mutex;

use pyo3::prelude::*;

/// A Python function that is told how far a computation is. After it has failed once it is not called again.
pub struct Progress {
    function: Option<Py<PyAny>>,
    error: Mutex<Option<PyErr>>,
}

impl Progress {
    pub fn new(function: Option<Py<PyAny>>) -> Progress {
        Progress { function, error: Mutex::new(None) }
    }

    /// Calls the function with the steps done and in all.
    pub fn tell(&self, done: usize, total: usize) {
        let Some(function) = &self.function else { return };
        Python::attach(|py| {
            let Ok(mut error) = self.error.try_lock() else { return };
            if error.is_none() {
                *error = function.call1(py, (done, total)).err();
            }
        });
    }

    /// Returns the error of the function, if it failed.
    pub fn finish(self) -> PyResult<()> {
        match self.error.into_inner() {
            Ok(Some(error)) => Err(error),
            _ => Ok(()),
        }
    }
}
