//! Requests of the control socket, answered from the engine.

use std::sync::Arc;

use eyas_control::{
    Candidate, Capabilities, Code, Feed, Handler, Hello, LogLevel, Peer, Refusal, Reply, Request,
    RuleCounts, RuleInfo, Rules, SetLogLevel, Subscribe, Validate, ValidateReport,
};
use eyas_rules::SourceFile;
use eyas_rules::collect::ENGINE_VERSION;

use super::{Compiled, Engine, Origin};
use crate::{figures, log};

/// Answers requests.
pub(crate) struct Requests(pub(crate) Arc<Engine>);

impl Handler for Requests {
    fn handle(&self, peer: &Peer, request: Request) -> Result<Reply, Refusal> {
        match request {
            Request::Hello {} => Ok(Reply::Hello(self.hello())),
            Request::Status {} => Ok(Reply::Status(Box::new(self.0.status()))),
            Request::Metrics {} => Ok(Reply::Metrics(figures::of(&self.0))),
            Request::Rules {} => Ok(Reply::Rules(self.rules())),
            Request::Processes {} => Ok(Reply::Processes(self.0.busy.ask())),
            Request::Validate(validate) => self.validate(validate).map(Reply::Validate),
            Request::Reload(reload) => {
                asked("reload", peer);
                self.0.reload(&reload).map(Reply::Reload)
            }
            Request::Select(select) => {
                asked("a selection of rules", peer);
                self.0.select(select).map(Reply::Reload)
            }
            Request::Record(record) => {
                asked("a recording", peer);
                self.0.record(&record).map(Reply::Recording)
            }
            Request::StopRecording(stop) => {
                asked("the end of a recording", peer);
                self.0.stop_recording(stop).map(Reply::Recording)
            }
            Request::Recording {} => Ok(Reply::Recording(self.0.recording())),
            Request::LogLevel(SetLogLevel { level }) => set_level(level, peer).map(Reply::LogLevel),
            other => Err(Refusal::new(
                Code::UnknownRequest,
                format!("`{other:?}` is not answered by this release"),
            )),
        }
    }

    fn subscribe(&self, peer: &Peer, subscribe: Subscribe) -> Result<Box<dyn Feed>, Refusal> {
        let watcher = self.0.taps.add(subscribe)?;
        log::debug(&format!(
            "process `{}` of user `{}` watches alerts, {} do",
            peer.pid,
            peer.uid,
            self.0.taps.count()
        ));
        Ok(Box::new(watcher))
    }
}

/// Who asked for a change is always said.
fn asked(what: &str, peer: &Peer) {
    log::info(&format!("{what} asked for by process `{}` of user `{}`", peer.pid, peer.uid));
}

fn set_level(level: Option<String>, peer: &Peer) -> Result<LogLevel, Refusal> {
    if let Some(level) = level {
        let level: log::Level = level.parse().map_err(|why| Refusal::new(Code::BadRequest, why))?;
        // Said at the more talkative of both.
        log::set_level(level.max(log::level()));
        asked(&format!("log level `{level}`"), peer);
        log::set_level(level);
    }
    Ok(LogLevel { level: log::level().to_string() })
}

impl Requests {
    fn hello(&self) -> Hello {
        Hello {
            name: "eyasd".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            requests: Request::NAMES.map(str::to_owned).to_vec(),
            capabilities: Capabilities {
                engine_version: ENGINE_VERSION.to_string(),
                layout_hash: eyas_abi::LAYOUT_HASH.to_owned(),
                kernel_events: self.0.has_probe(),
            },
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn rules(&self) -> Rules {
        let active = self.0.active.load();
        let counted = self.0.stats.by_rule();
        let rules = active.rules.rules().map(|(_, rule)| {
            let of_rule = counted.get(&rule.name).copied().unwrap_or_default();
            RuleInfo {
                name: rule.name.to_string(),
                priority: rule.priority.to_owned(),
                source: rule.source.to_string(),
                tags: rule.tags.to_vec(),
                enabled: rule.enabled,
                matches: of_rule.matches,
                cost_seconds: of_rule.cost_ns as f64 / 1e9,
                description: rule.description.clone(),
            }
        });
        Rules {
            generation: active.generation,
            rules: rules.collect(),
            switched: active.settings.switched.clone(),
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
