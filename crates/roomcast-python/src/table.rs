//! Tables in and out through Arrow's C stream interface, which data frame libraries hand to each other in capsules.

use std::ptr::NonNull;

use chrono_tz::Tz;
use polars::prelude::PolarsResult;
use polars_arrow::array::{Array, BooleanArray, PrimitiveArray, StructArray, Utf8Array};
use polars_arrow::datatypes::{ArrowDataType, Field, TimeUnit};
use polars_arrow::ffi::{ArrowArrayStream, ArrowArrayStreamReader, export_iterator};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::readings::{FRAME, ReadError};

use crate::errors::other;

/// A stream of batches that another library gives out.
pub struct Stream {
    /// `None` until the names of the columns are asked for.
    reader: Option<ArrowArrayStreamReader<Box<ArrowArrayStream>>>,
    raw: Option<Box<ArrowArrayStream>>,
}

impl Stream {
    /// Takes the stream out of a capsule, which keeps an empty one.
    pub fn take(capsule: &Bound<'_, PyCapsule>) -> PyResult<Stream> {
        let pointer: NonNull<ArrowArrayStream> = capsule.pointer_checked(Some(c"arrow_array_stream"))?.cast();
        // SAFETY: a capsule of this name points to a stream of Arrow's C interface, and the lock of Python is held, so nobody
        // else moves it out. The empty stream that stays is released by nobody.
        let raw = unsafe { pointer.replace(ArrowArrayStream::empty()) };
        Ok(Stream { reader: None, raw: Some(Box::new(raw)) })
    }

    /// Returns the columns.
    pub fn fields(&mut self) -> Result<Vec<Field>, ReadError> {
        let error = |message: String| ReadError::Arrow { file: FRAME.into(), message };
        let Some(raw) = self.raw.take() else { return Err(error("the stream was read before".into())) };
        // SAFETY: the stream keeps to Arrow's C interface.
        let reader = unsafe { ArrowArrayStreamReader::try_new(raw) }.map_err(|cause| error(cause.to_string()))?;
        let fields = match &reader.field().dtype {
            ArrowDataType::Struct(fields) => fields.clone(),
            other => return Err(error(format!("expected columns, found one of {other:?}"))),
        };
        self.reader = Some(reader);
        Ok(fields)
    }
}

impl Iterator for Stream {
    type Item = PolarsResult<Box<dyn Array>>;

    fn next(&mut self) -> Option<Self::Item> {
        // SAFETY: the arrays of the stream keep to Arrow's C interface.
        unsafe { self.reader.as_mut()?.next() }
    }
}

/// A table with named columns of equal length.
#[pyclass(frozen, module = "roomcast._roomcast")]
pub struct Columns {
    fields: Vec<Field>,
    arrays: Vec<Box<dyn Array>>,
    calendar: Calendar,
}

#[pymethods]
impl Columns {
    fn __len__(&self) -> usize {
        self.arrays.first().map_or(0, |array| array.len())
    }

    /// The names of the columns.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.fields.iter().map(|field| field.name.as_str()).collect()
    }

    /// Returns the cells of a column; times as texts in the form of RFC 3339.
    fn cells<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyList>> {
        let place = self.fields.iter().position(|field| field.name == name);
        let array = place.map(|place| &self.arrays[place]);
        let Some(array) = array else { return Err(pyo3::exceptions::PyKeyError::new_err(name.to_owned())) };
        let array = array.as_any();
        if let Some(texts) = array.downcast_ref::<Utf8Array<i64>>() {
            return PyList::new(py, texts.values_iter().collect::<Vec<_>>());
        }
        if let Some(numbers) = array.downcast_ref::<PrimitiveArray<f64>>() {
            return PyList::new(py, numbers.values().as_slice());
        }
        if let Some(numbers) = array.downcast_ref::<PrimitiveArray<i8>>() {
            return PyList::new(py, numbers.values().as_slice());
        }
        if let Some(flags) = array.downcast_ref::<BooleanArray>() {
            return PyList::new(py, flags.values_iter().collect::<Vec<_>>());
        }
        let micros = array.downcast_ref::<PrimitiveArray<i64>>().map_or(&[][..], |times| times.values().as_slice());
        PyList::new(py, micros.iter().map(|time| self.calendar.rfc3339(self.instant(*time))).collect::<Vec<_>>())
    }

    /// Returns the table as a stream of Arrow's C interface. Its types cannot be chosen.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let kind = ArrowDataType::Struct(self.fields.clone());
        let batch = StructArray::try_new(kind.clone(), self.__len__(), self.arrays.clone(), None).map_err(other)?;
        let batches = Box::new(std::iter::once(Ok(batch.boxed())));
        let stream = export_iterator(batches, Field::new("".into(), kind, false));
        // The stream is released with the capsule, unless it was moved out of it.
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}

impl Columns {
    /// Returns a table without columns for times of this calendar.
    pub fn new(calendar: &Calendar) -> Columns {
        Columns { fields: Vec::new(), arrays: Vec::new(), calendar: calendar.clone() }
    }

    /// Adds a column of instants, which are local wall times at a site without a zone.
    pub fn times(self, name: &str, instants: impl Iterator<Item = Timestamp>) -> Columns {
        let zone = self.calendar.zone().map(|zone: Tz| zone.name().into());
        let kind = ArrowDataType::Timestamp(TimeUnit::Microsecond, zone);
        let micros: Vec<i64> = instants.map(|instant| instant * 1_000_000).collect();
        self.with(name, PrimitiveArray::from_vec(micros).to(kind).boxed())
    }

    /// Adds a column of texts.
    pub fn texts<'a>(self, name: &str, cells: impl Iterator<Item = &'a str>) -> Columns {
        let cells: Vec<&str> = cells.collect();
        self.with(name, Utf8Array::<i64>::from_slice(cells).boxed())
    }

    /// Adds a column of numbers.
    pub fn numbers(self, name: &str, cells: impl Iterator<Item = f64>) -> Columns {
        self.with(name, PrimitiveArray::from_vec(cells.collect::<Vec<f64>>()).boxed())
    }

    /// Adds a column of small whole numbers.
    pub fn small(self, name: &str, cells: impl Iterator<Item = i8>) -> Columns {
        self.with(name, PrimitiveArray::from_vec(cells.collect::<Vec<i8>>()).boxed())
    }

    /// Adds a column of yes and no.
    pub fn flags(self, name: &str, cells: impl Iterator<Item = bool>) -> Columns {
        self.with(name, BooleanArray::from_slice(cells.collect::<Vec<bool>>()).boxed())
    }

    fn with(mut self, name: &str, array: Box<dyn Array>) -> Columns {
        self.fields.push(Field::new(name.into(), array.dtype().clone(), false));
        self.arrays.push(array);
        self
    }

    fn instant(&self, micros: i64) -> Timestamp {
        micros.div_euclid(1_000_000)
    }
}
