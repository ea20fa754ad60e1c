//! `/api/images`

use super::endpoint::{Call, Reply};
use crate::{Error, Result};

/// Whoever has the name may see the picture: nobody can guess one.
pub(super) async fn get(call: Call) -> Result<Reply> {
    let image = call.chat.shared.images.get(&call.parameter).await;
    let image = image.map_err(|error| Error::unavailable("image store", Some(error.into())))?;
    image.map(Reply::Image).ok_or(Error::NotFound("Image"))
}
