//! Header lists with weights, such as `Accept`.

use poem::http::HeaderMap;
use poem::http::header::HeaderName;

/// The items of the header `name`, in lower case, and their weights (RFC 9110 §12.4.2). An invalid weight counts as 0.
pub(crate) fn weighted(headers: &HeaderMap, name: HeaderName) -> Vec<(String, f32)> {
    let values = headers.get_all(name);
    let items = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    items
        .map(|item| {
            let mut parts = item.split(';').map(|part| part.trim().to_ascii_lowercase());
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=").map(str::parse));
            (name, weight.unwrap_or(Ok(1.0)).unwrap_or(0.0))
        })
        .collect()
}
