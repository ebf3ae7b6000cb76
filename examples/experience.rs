//! Learns the layers that the program is shipped with, and writes them to the file named.
//!
//! `make experience` runs it. A test learns them again and compares the bytes.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("name the file to write")?;
    let bytes = roomcast_simulate::experience()?.encode()?;
    std::fs::write(path, &bytes)?;
    eprintln!("{} bytes", bytes.len());
    Ok(())
}
