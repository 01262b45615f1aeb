//! Ways to sign in: each has exactly one scheme and the settings that it needs.

use super::ConnectorChecks;
use crate::compile::compiled::{AuthScheme, AuthVariant};
use crate::compile::pointer::Pointer;
use crate::compile::setting;
use crate::compile::sight::{Names, Sight};
use crate::definition::Place;
use crate::definition::{self, ClientPlace, Setting, TokenRequest, is_template};
use crate::diagnostic::{Code, list};

const SCHEMES: [&str; 4] = ["basic", "bearer", "header", "oauth_client_credentials"];

impl ConnectorChecks<'_, '_> {
    /// Checks the settings' defaults.
    pub(super) fn check_settings(&self, root: &Pointer) {
        let at = root.key("settings");
        for (name, setting) in &self.definition.settings {
            let at = at.key(name);
            self.check_setting(&at, setting, &self.names);
            if setting.secret == Some(true) {
                self.checks.error(Code::SecretOutsideAuth, &at.key("secret"), |report| {
                    report
                        .message(format!("the setting `{name}` is a secret, and only the settings of an auth variant are kept secret"))
                        .hint("move it below `auth`, into the `settings` of the variant that needs it")
                });
            }
        }
    }

    fn check_setting(&self, at: &Pointer, setting: &Setting, names: &Names) {
        let Some(default) = &setting.default else { return };
        let at = at.key("default");
        if default.has_template() {
            let _ = self
                .checks
                .shape(&at, default, Sight::new(Place::SettingDefault, names));
        } else if let Err(expected) = setting::typed(&setting.value_type, &default.0) {
            self.checks.error(Code::SettingType, &at, |report| {
                report.message(format!(
                    "the default is {}, and the type asks for {expected}",
                    setting::kind(&default.0)
                ))
            });
        }
        if setting.required == Some(true) {
            self.checks.error(Code::RuleSteps, &at, |report| {
                report
                    .message("a setting that is required has no use for a default")
                    .hint("leave out one of the two")
            });
        }
    }

    /// One way to sign in.
    pub(super) fn auth_variant(
        &self,
        at: &Pointer,
        variant: &definition::AuthVariant,
    ) -> Option<AuthVariant> {
        let mut names = self.names.clone();
        for name in variant.settings.keys() {
            if names.settings.contains(name) {
                self.checks.error(Code::TwiceDefined, &at.key("settings").key(name), |report| {
                    report
                        .message(format!("the connector has a setting `{name}` already, and templates could not tell the two apart"))
                        .at_key()
                        .label(Pointer::root().key("settings").key(name).as_str(), "the connector's")
                });
            } else {
                names.settings.push(name.clone());
            }
        }
        for (name, setting) in &variant.settings {
            self.check_setting(&at.key("settings").key(name), setting, &names);
        }
        let sight = Sight::new(Place::Auth, &names);
        let text = |key: &str, text| self.checks.text(&at.key(key), text, sight);
        let mut schemes: Vec<Option<AuthScheme>> = Vec::new();
        if let Some(basic) = &variant.basic {
            let at = at.key("basic");
            let username = self.checks.text(&at.key("username"), &basic.username, sight);
            let password = self.checks.text(&at.key("password"), &basic.password, sight);
            schemes.push(
                username
                    .zip(password)
                    .map(|(username, password)| AuthScheme::Basic { username, password }),
            );
        }
        if let Some(token) = &variant.bearer {
            schemes.push(text("bearer", token).map(AuthScheme::Bearer));
        }
        if let Some(headers) = &variant.header {
            schemes.push(
                self.headers(&at.key("header"), headers, sight)
                    .map(AuthScheme::Headers),
            );
        }
        if let Some(oauth) = &variant.oauth_client_credentials {
            schemes.push(self.oauth(at, variant, oauth, sight));
        }
        let count = schemes.len();
        if count != 1 {
            self.checks.error(Code::MissingAuth, at, |report| {
                let found = if count == 0 {
                    "none".to_owned()
                } else {
                    count.to_string()
                };
                report
                    .message(format!(
                        "a way to sign in has exactly one scheme of {}, found {found}",
                        list(SCHEMES)
                    ))
                    .at_key()
            });
            return None;
        }
        let scheme = schemes.pop().flatten()?;
        Some(AuthVariant {
            deprecated: variant.deprecated.clone(),
            scheme,
        })
    }

    fn oauth(
        &self,
        at: &Pointer,
        variant: &definition::AuthVariant,
        oauth: &definition::OauthClientCredentials,
        sight: Sight<'_>,
    ) -> Option<AuthScheme> {
        for needed in ["client_id", "client_secret"] {
            if !variant.settings.contains_key(needed) {
                self.checks.error(Code::MissingSetting, &at.key("oauth_client_credentials"), |report| {
                    report
                        .message(format!("client credentials are sent from the variant's setting `{needed}`, which it does not have"))
                        .at_key()
                        .hint(format!("add `{needed}: {{type: text, required: true}}` to its `settings`"))
                });
            }
        }
        let at = at.key("oauth_client_credentials");
        let token_url = self.checks.text(&at.key("token_url"), &oauth.token_url, sight);
        if !is_template(oauth.token_url.as_str()) && !oauth.token_url.as_str().starts_with("http") {
            self.checks
                .error(Code::WrongRequest, &at.key("token_url"), |report| {
                    report
                        .message("a token address is a whole address")
                        .hint("begin it with `{{ settings.base_url }}` or `https://`")
                });
        }
        let send: Vec<_> = oauth
            .send
            .iter()
            .map(|(name, value)| {
                Some((
                    name.clone(),
                    self.checks.shape(&at.key("send").key(name), value, sight)?,
                ))
            })
            .collect();
        Some(AuthScheme::OauthClientCredentials {
            token_url: token_url?,
            json: oauth.request == Some(TokenRequest::Json),
            client_in_header: oauth.client == Some(ClientPlace::Basic),
            send: send.into_iter().collect::<Option<_>>()?,
        })
    }
}
