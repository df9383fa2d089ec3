//! Makes the client from the document that `ARKLOOP_DOCUMENT` names.

use std::error::Error;
use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let document = env::var("ARKLOOP_DOCUMENT")?;
    println!("cargo::rerun-if-env-changed=ARKLOOP_DOCUMENT");
    println!("cargo::rerun-if-changed={document}");
    let document = serde_json::from_reader(fs::File::open(document)?)?;
    let client = progenitor_impl::Generator::default().generate_tokens(&document)?;
    let client = prettyplease::unparse(&syn::parse2(client)?);
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("client.rs"), client)?;
    Ok(())
}
