//! Files that are no plain text: archives, UTF-16, workbooks.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

use flate2::{Compression, Crc, read::GzDecoder, write::GzEncoder};

pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub fn gunzip(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bytes
}

pub fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

pub fn utf16(text: &str, is_big: bool) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(|unit| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

/// A ZIP archive of files that are not compressed.
pub fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut body, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut crc = Crc::new();
        crc.update(content.as_bytes());
        let offset = body.len() as u32;
        let mut head: Vec<u8> = Vec::new();
        // Version, flags, method, time, date; then checksum, sizes and lengths.
        head.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x49]);
        head.extend(crc.sum().to_le_bytes());
        head.extend((content.len() as u32).to_le_bytes());
        head.extend((content.len() as u32).to_le_bytes());
        head.extend((name.len() as u16).to_le_bytes());
        head.extend([0, 0]);
        body.extend(b"PK\x03\x04");
        body.extend(&head);
        body.extend(name.as_bytes());
        body.extend(content.as_bytes());
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&head);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (count, offset, length) = (files.len() as u16, body.len() as u32, directory.len() as u32);
    body.extend(&directory);
    body.extend(b"PK\x05\x06\0\0\0\0");
    body.extend(count.to_le_bytes());
    body.extend(count.to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(offset.to_le_bytes());
    body.extend([0, 0]);
    body
}

/// A cell of a workbook.
pub enum Cell {
    Text(String),
    Number(f64),
    /// Days since 1899-12-30, shown as a date with a time.
    Date(f64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

/// A workbook with one sheet.
pub fn workbook(rows: &[Vec<Cell>]) -> Vec<u8> {
    let mut sheet = String::new();
    for (row, cells) in rows.iter().enumerate() {
        write!(sheet, "<row r=\"{}\">", row + 1).unwrap();
        for (column, cell) in cells.iter().enumerate() {
            let place = format!("{}{}", char::from(b'A' + column as u8), row + 1);
            match cell {
                Cell::Text(text) => write!(sheet, "<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>"),
                Cell::Number(number) => write!(sheet, "<c r=\"{place}\"><v>{number}</v></c>"),
                Cell::Date(days) => write!(sheet, "<c r=\"{place}\" s=\"1\"><v>{days}</v></c>"),
            }
            .unwrap();
        }
        sheet += "</row>";
    }
    with_sheet(&sheet)
}

/// A workbook with the rows of a sheet as XML.
pub fn with_sheet(rows: &str) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006";
    let kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    let file = |body: String| format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}");
    let types = file(format!(
        "<Types xmlns=\"{package}/content-types\"><Default Extension=\"rels\" \
         ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Override PartName=\"/xl/workbook.xml\" \
         ContentType=\"{kinds}.sheet.main+xml\"/><Override PartName=\"/xl/worksheets/sheet1.xml\" \
         ContentType=\"{kinds}.worksheet+xml\"/><Override PartName=\"/xl/styles.xml\" ContentType=\"{kinds}.styles+xml\"/></Types>"
    ));
    let roots = file(format!(
        "<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"rId1\" Type=\"{office}/officeDocument\" \
         Target=\"xl/workbook.xml\"/></Relationships>"
    ));
    let book = file(format!(
        "<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets><sheet name=\"Export\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
    ));
    let parts = file(format!(
        "<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"rId1\" Type=\"{office}/worksheet\" \
         Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"rId2\" Type=\"{office}/styles\" Target=\"styles.xml\"/></Relationships>"
    ));
    let styles = file(format!(
        "<styleSheet xmlns=\"{main}\"><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"22\" applyNumberFormat=\"1\"/></cellXfs></styleSheet>"
    ));
    let sheet = file(format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>"));
    zip(&[
        ("[Content_Types].xml", &types),
        ("_rels/.rels", &roots),
        ("xl/workbook.xml", &book),
        ("xl/_rels/workbook.xml.rels", &parts),
        ("xl/styles.xml", &styles),
        ("xl/worksheets/sheet1.xml", &sheet),
    ])
}
