//! The wire to the simulated Microsoft, with answers changed on their way.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use shared::{
    oauth::TokenService,
    ports::{Body, Http, HttpError},
};

use super::{InProcess, World};

/// What becomes of an answer: by path, status and body.
type Change = Box<dyn Fn(&str, u16, Bytes) -> (u16, Bytes) + Send + Sync>;

/// A wire whose answers can be changed.
pub struct Altered {
    wire: Arc<InProcess>,
    change: Mutex<Change>,
}

impl Altered {
    /// Over the world's wire, changing nothing yet.
    pub fn new(world: &World) -> Arc<Self> {
        Arc::new(Self {
            wire: Arc::clone(&world.wire),
            change: Mutex::new(Box::new(|_, status, body| (status, body))),
        })
    }

    /// Tokens as a new process has them, over this wire.
    pub fn tokens(self: &Arc<Self>, world: &World) -> TokenService {
        let mut ports = world.ports();
        ports.http = Arc::clone(self) as Arc<dyn Http>;
        TokenService::new(ports)
    }

    /// Changes whole answers.
    pub fn set(&self, change: impl Fn(&str, u16, Bytes) -> (u16, Bytes) + Send + Sync + 'static) {
        *self.change.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(change);
    }

    /// Changes answers that are JSON.
    pub fn json(&self, change: impl Fn(&str, &mut Value) + Send + Sync + 'static) {
        self.set(move |path, status, body| match serde_json::from_slice::<Value>(&body) {
            Ok(mut answer) => {
                change(path, &mut answer);
                (status, answer.to_string().into())
            }
            Err(_) => (status, body),
        });
    }
}

#[async_trait]
impl Http for Altered {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let path = request.uri().path().to_owned();
        let (mut parts, body) = self.wire.call(request).await?.into_parts();
        let bytes: Vec<Bytes> = body.try_collect().await?;
        let change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, bytes) = change(&path, parts.status.as_u16(), bytes.concat().into());
        parts.status = status.try_into().expect("a status");
        parts.headers.remove("content-length");
        let body = futures::stream::once(async move { Ok(bytes) }).boxed();
        Ok(http::Response::from_parts(parts, body))
    }
}
