//! What the client hears, and what it answers when it is asked.
#![allow(deprecated, reason = "2026-07-28 deprecates sampling, roots and logging, and a host serves them all the same")]

use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, ElicitationAction, Implementation, ListRootsResult, LoggingMessageNotificationParam,
    ProgressNotificationParam, ResourceUpdatedNotificationParam, Root, SamplingMessage,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::{Map, Value};
use tokio::sync::mpsc::Sender;

/// What a person puts into a form.
const FIELDS: [(&str, &str); 4] =
    [("username", "ada"), ("email", "ada@example.org"), ("name", "Ada"), ("color", "green")];

/// What the host tells between requests and while they run.
#[derive(Debug)]
pub enum Notice {
    Progress(ProgressNotificationParam),
    Log(LoggingMessageNotificationParam),
    Updated(String),
    ToolsChanged,
}

/// Answers every question, and passes on every notice.
#[derive(Debug)]
pub struct Person {
    pub notices: Sender<Notice>,
}

impl Person {
    /// Nobody listens once the tour is over, and a tour that hears too much fails for want of what it waits for.
    fn pass_on(&self, notice: Notice) {
        let _ = self.notices.try_send(notice);
    }
}

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().enable_sampling().enable_roots().build();
        ClientConfig::new(capabilities, Implementation::new("stockade-interop-rmcp", "1.0.0"))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams { requested_schema, .. } = request else {
            return Err(ErrorData::invalid_params("only forms are asked here", None));
        };
        let known = FIELDS.iter().filter(|(field, _)| requested_schema.properties.contains_key(*field));
        let content: Map<String, Value> = known.map(|(field, value)| ((*field).into(), (*value).into())).collect();
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(content)))
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Ok(CreateMessageResult::new(SamplingMessage::assistant_text("Paris"), "interop".into()))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(ListRootsResult::new(vec![Root::new("file:///workspace").with_name("workspace")]))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.pass_on(Notice::Progress(params));
    }

    async fn on_logging_message(&self, params: LoggingMessageNotificationParam, _: NotificationContext<RoleClient>) {
        self.pass_on(Notice::Log(params));
    }

    async fn on_resource_updated(&self, params: ResourceUpdatedNotificationParam, _: NotificationContext<RoleClient>) {
        self.pass_on(Notice::Updated(params.uri));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.pass_on(Notice::ToolsChanged);
    }
}
