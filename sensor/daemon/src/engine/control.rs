//! Requests of the control socket, answered from the engine.

use std::sync::Arc;

use eyas_control::{
    Candidate, Capabilities, Handler, Hello, Peer, Refusal, Reply, Request, RuleCounts, Validate,
    ValidateReport,
};
use eyas_rules::SourceFile;
use eyas_rules::collect::ENGINE_VERSION;

use super::{Compiled, Engine, Origin};
use crate::log;

/// Requests that are answered.
const REQUESTS: [&str; 4] = ["hello", "status", "validate", "reload"];

/// Answers requests.
pub(crate) struct Requests(pub(crate) Arc<Engine>);

impl Handler for Requests {
    fn handle(&self, peer: &Peer, request: Request) -> Result<Reply, Refusal> {
        match request {
            Request::Hello {} => Ok(Reply::Hello(self.hello())),
            Request::Status {} => Ok(Reply::Status(Box::new(self.0.status()))),
            Request::Validate(validate) => self.validate(validate).map(Reply::Validate),
            Request::Reload(reload) => {
                log::info(&format!(
                    "reload asked for by process `{}` of user `{}`",
                    peer.pid, peer.uid
                ));
                self.0.reload(&reload).map(Reply::Reload)
            }
            other => Err(Refusal::new(
                eyas_control::Code::UnknownRequest,
                format!("`{other:?}` is not answered by this release"),
            )),
        }
    }
}

impl Requests {
    fn hello(&self) -> Hello {
        Hello {
            name: "eyasd".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            requests: REQUESTS.map(str::to_owned).to_vec(),
            capabilities: Capabilities {
                engine_version: ENGINE_VERSION.to_string(),
                layout_hash: eyas_abi::LAYOUT_HASH.to_owned(),
                kernel_events: self.0.has_probe(),
            },
        }
    }

    fn validate(&self, validate: Validate) -> Result<ValidateReport, Refusal> {
        let (files, origin) = match validate.candidate {
            Candidate::Generation(number) => self.0.files_of(number)?,
            Candidate::Files(texts) => {
                let file =
                    |text: eyas_control::RulesText| SourceFile { name: text.name, text: text.text };
                (texts.into_iter().map(file).collect(), Origin::FILES)
            }
        };
        let Compiled { active, reports } = self.0.validate(files, origin);
        let rules = active.as_ref().map_or(RuleCounts::default(), |active| active.counts);
        Ok(ValidateReport { accepted: active.is_some(), rules, reports })
    }
}
