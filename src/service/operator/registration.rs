//! Setting the registration mode.

use crate::domain::{AuditEvent, RegistrationMode};
use crate::service::{Error, Service};
use crate::store::Setting;

impl Service {
    /// Sets the registration mode, from the next request on.
    ///
    /// # Errors
    /// [`Error::RegistrationPinned`].
    pub async fn set_registration_mode(&self, mode: RegistrationMode) -> Result<(), Error> {
        if let Some(pinned) = self.rules.settings.pinned_mode {
            return Err(Error::RegistrationPinned(pinned));
        }
        let name: &str = mode.into();
        let record = self.by_operator(AuditEvent::RegistrationSet).saying(name);
        self.change_audited(record, move |unit, _| {
            Ok(unit.put_setting(Setting::RegistrationMode, Some(name), unit.now)?)
        })
        .await
    }
}
