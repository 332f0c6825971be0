//! What every changing operation works with.

use std::ops::Deref;
use std::time::Duration;

use eyas_artifact::{Digest, Kind, Platform, Reference};
use eyas_oci::{Client, Pinned};
use eyas_store::{Store, Validate};
use eyas_trust::{IndexRule, Policy, Verified, Verifier};

use crate::transaction::{LOCK_PATIENCE, Told};
use crate::{Catalog, Event, FlatTargets, Listener, OpsError, Sensor};

/// Everything an operation needs from outside. Cheap to make, used once.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The state directory.
    pub store: &'a Store,
    /// The way to registries.
    pub client: &'a Client,
    /// The names that are known.
    pub catalog: &'a Catalog,
    /// Who is trusted.
    pub trust: &'a Trust,
    /// What must hold for the whole new set.
    pub validate: &'a dyn Validate,
    /// What runs the rules.
    pub sensor: &'a dyn Sensor,
    /// Who is told what happens.
    pub listener: &'a dyn Listener,
    /// The plain directories that follow the store, beside those it keeps already.
    pub flat: Option<&'a FlatTargets>,
}

impl<'a> Context<'a> {
    pub(crate) fn told(&self, options: &InstallOptions) -> Told<'a> {
        let require = options.require_sensor && !options.dry_run;
        Told { sensor: self.sensor, listener: self.listener, require }
    }
}

/// The policy, and whether indexes may speak where it is silent.
#[derive(Debug)]
pub struct Trust {
    policy: Verifier,
    from_index: bool,
    /// Applied where nothing says anything; none means that nobody is trusted there.
    otherwise: Option<Verifier>,
}

/// How an install is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct InstallOptions {
    /// What to install for.
    pub platform: Platform,
    /// Kinds that may be installed; empty means all.
    pub allowed: Vec<Kind>,
    /// Whether what the artifacts depend on is installed too.
    pub resolve_dependencies: bool,
    /// Whether an older version is acceptable.
    pub allow_downgrade: bool,
    /// Whether an artifact may replace one of the same name from another repository.
    pub allow_other_repository: bool,
    /// Whether a sensor must confirm.
    pub require_sensor: bool,
    /// Whether to stop before anything is fetched or written.
    pub dry_run: bool,
    /// How long to wait for another process that changes the store.
    pub patience: Duration,
}

impl Default for InstallOptions {
    fn default() -> Self {
        Self {
            platform: Platform::host(),
            allowed: Vec::new(),
            resolve_dependencies: true,
            allow_downgrade: false,
            allow_other_repository: false,
            require_sensor: false,
            dry_run: false,
            patience: LOCK_PATIENCE,
        }
    }
}

impl Trust {
    /// Applies `policy`; with `from_index`, what the indexes say counts where it is silent.
    pub fn new(policy: Policy, from_index: bool) -> Result<Self, OpsError> {
        Ok(Self { policy: Verifier::new(policy)?, from_index, otherwise: None })
    }

    /// The same, accepting unsigned artifacts that neither the policy nor an index says anything of.
    pub fn accepting_unsigned(self) -> Result<Self, OpsError> {
        Ok(Self { otherwise: Some(Verifier::new(Policy::allow_unsigned())?), ..self })
    }

    /// Verifies what was pinned, against the rule for what was asked for.
    pub(crate) async fn verify(
        &self,
        client: &Client,
        catalog: &Catalog,
        pinned: Pinned,
        listener: &dyn Listener,
    ) -> Result<Verified<Pinned>, OpsError> {
        let verifier = self.for_reference(client, catalog, pinned.asked(), listener).await?;
        Ok(verifier.verify(client, pinned).await?)
    }

    /// Whether what once was accepted, by what has this fingerprint, would be accepted again.
    pub(crate) async fn still_accepts(
        &self,
        context: &Context<'_>,
        asked: &Reference,
        accepted_by: &Digest,
    ) -> Result<bool, OpsError> {
        let Context { client, catalog, listener, .. } = *context;
        let verifier = self.for_reference(client, catalog, asked, listener).await?;
        Ok(verifier.fingerprint(asked).as_ref() == Some(accepted_by))
    }

    /// What decides about a reference: the policy, else what the indexes say of it.
    async fn for_reference(
        &self,
        client: &Client,
        catalog: &Catalog,
        asked: &Reference,
        listener: &dyn Listener,
    ) -> Result<Deciding<'_>, OpsError> {
        let rules = self.policy.policy();
        let silent = rules.rule_for(asked).is_none();
        let honoured = rules.indexes().iter().any(IndexRule::signatures_are_honoured);
        let heard = silent && (self.from_index || honoured);
        if heard {
            // Whoever types the whole reference must not get around what an index asks for.
            catalog.complete(listener).await;
        }
        catalog.hold_to(&self.policy, client, listener).await?;
        if heard {
            let mut policy = rules.clone();
            catalog.add_sections(asked, &mut policy, self.from_index)?;
            if policy.rule_for(asked).is_some() || self.otherwise.is_none() {
                return Ok(Deciding::Made(Box::new(Verifier::new(policy)?)));
            }
            if let Some((index, reason)) = catalog.gap() {
                let repository = asked.locator();
                listener.tell(&Event::Warning(&format!(
                    "whether index `{index}` asks for a signature of `{repository}` is not known: {reason}"
                )));
            }
        }
        Ok(Deciding::Own(self.otherwise.as_ref().filter(|_| silent).unwrap_or(&self.policy)))
    }
}

/// A verifier that is there, or one made for a single reference.
enum Deciding<'a> {
    Own(&'a Verifier),
    Made(Box<Verifier>),
}

impl Deref for Deciding<'_> {
    type Target = Verifier;

    fn deref(&self) -> &Verifier {
        match self {
            Self::Own(verifier) => verifier,
            Self::Made(verifier) => verifier,
        }
    }
}
