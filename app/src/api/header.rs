//! Headers that affect a write: every line counts, even if it is invalid.

use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchemaRef, Registry},
    types::Type,
};

/// The text of a header, `None` if it is absent. Several lines are one list, separated by commas.
///
/// The framework reads only the first line and ignores lines with non-ASCII bytes: an invalid condition would then count as none.
pub(super) struct HeaderText(pub(super) Option<String>);

impl<'a> ApiExtractor<'a> for HeaderText {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = Option<String>;
    type ParamRawType = String;

    fn register(registry: &mut Registry) {
        <Option<String> as Type>::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(<Option<String> as Type>::schema_ref())
    }

    fn param_raw_type(&self) -> Option<&Self::ParamRawType> {
        self.0.as_ref()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        options: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        let lines = request.headers().get_all(options.name);
        let lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        Ok(Self((!lines.is_empty()).then(|| lines.join(", "))))
    }
}
