//! `eyas sensor …`.

use clap::{Args, Subcommand};

use super::SocketArgs;

/// Talk to the running sensor.
#[derive(Debug, Subcommand)]
pub(crate) enum Sensor {
    /// Say what the sensor runs
    Status(SensorStatusArgs),
    /// Tell the sensor to load the active generation
    Reload(SensorStatusArgs),
    /// Post alerts to an HTTP receiver: what the sensor starts for its `http_output`
    #[command(hide = true)]
    PostAlerts,
}

/// Arguments of `sensor status` and `sensor reload`.
#[derive(Debug, Args)]
pub(crate) struct SensorStatusArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}
