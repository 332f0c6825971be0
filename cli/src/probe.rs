//! Probe objects as artifacts: what is pushed with `registry push --type probe`.

use std::fs;

use eyas_artifact::{Platform, Version};
use eyas_ops::{Class, Content, OpsError};

use crate::args::PushArgs;
use crate::exit::Failure;
use crate::judge::MAX_PROBE_BYTES;
use crate::settings::parse_from;

/// The object that was named, or the one built into this program, with its description.
pub(crate) fn content(args: &PushArgs) -> anyhow::Result<Content> {
    let architecture = Platform::host().architecture;
    let object = match (args.embedded, args.files.as_slice()) {
        (true, _) => eyas_probe::embedded().to_vec(),
        (false, [file]) => {
            let unreadable = |source| OpsError::Input { path: file.clone(), source };
            let size = fs::metadata(file).map_err(unreadable)?.len();
            if size > MAX_PROBE_BYTES {
                let message = format!(
                    "`{}` has {size} bytes, more than {MAX_PROBE_BYTES}: this is no probe object",
                    file.display()
                );
                return Err(Failure::usage(message).into());
            }
            fs::read(file).map_err(unreadable)?
        }
        (false, files) => {
            let message = format!("{} files for a probe, expected one object", files.len());
            return Err(Failure::usage(message).into());
        }
    };
    let version: Version = parse_from(
        args.version.as_deref().unwrap_or_default(),
        "`--version`",
        "a version such as `1.4.0`",
    )?;
    let config =
        eyas_probe::describe(&object, "probe", &version, &architecture).map_err(|error| {
            let hint = error.hint().map(str::to_owned);
            let message = format!("this probe object cannot be published: {error}");
            Failure { class: Class::Validation, message, hint }
        })?;
    Ok(Content::Probe { config: Box::new(config), object })
}
