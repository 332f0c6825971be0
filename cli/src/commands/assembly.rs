//! The parts of one operation, for as long as it runs.
//!
//! Owns what commands have in common that change what is installed or compare it: the parts that are the
//! same for all of them, and how they are handed to an operation.

use eyas_artifact::Name;
use eyas_oci::Client;
use eyas_ops::{Catalog, Context, FlatTargets, Trust};
use eyas_store::Store;

use super::artifact::catalog_for;
use crate::args::IndexArgs;
use crate::judge::Judge;
use crate::listener::Teller;
use crate::printer::Printer;
use crate::sensor::SocketSensor;
use crate::settings::Settings;

/// Everything that an operation works with.
pub(super) struct Assembly {
    pub(super) store: Store,
    pub(super) client: Client,
    pub(super) catalog: Catalog,
    pub(super) trust: Trust,
    pub(super) judge: Judge,
    pub(super) sensor: SocketSensor,
    pub(super) listener: Teller,
    pub(super) flat: Option<FlatTargets>,
}

impl Assembly {
    /// Parts that know no names yet, keep no plain directories, and judge for our own engine.
    pub(super) fn new(
        store: Store,
        client: Client,
        trust: Trust,
        sensor: SocketSensor,
        printer: &Printer,
    ) -> Self {
        let (catalog, judge) = (Catalog::default(), Judge::new());
        let listener = Teller::new(printer.clone());
        Self { store, client, catalog, trust, judge, sensor, listener, flat: None }
    }

    /// Reads the indexes, as far as these names need them.
    pub(super) async fn find_names(
        &mut self,
        names: &[Name],
        settings: &Settings,
        indexes: &IndexArgs,
        printer: &Printer,
    ) -> anyhow::Result<()> {
        self.catalog = catalog_for(names, settings, indexes, &self.client, printer).await?;
        Ok(())
    }

    /// The parts as an operation takes them.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            store: &self.store,
            client: &self.client,
            catalog: &self.catalog,
            trust: &self.trust,
            validate: &self.judge,
            sensor: &self.sensor,
            listener: &self.listener,
            flat: self.flat.as_ref(),
        }
    }
}
