//! The contract's types as OpenAPI components. Their schemas are made from the types themselves (schemars), so the
//! document cannot drift from what travels; see [`components`].

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, schema::Schema},
};

macro_rules! contract_schemas {
    ($($name:ident = $type:ty;)*) => {
        $(
            /// Stands for the contract's type of that name in a utoipa attribute.
            #[derive(Debug)]
            pub struct $name;

            impl PartialSchema for $name {
                /// A place holder, replaced by [`components`].
                fn schema() -> RefOr<Schema> {
                    ObjectBuilder::new().into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed(stringify!($name))
                }
            }
        )*

        /// Component schemas of the contract's types, and of all that they name, by component name.
        pub fn components() -> Map<String, Value> {
            let settings = SchemaSettings::draft2020_12().with(|s| {
                s.definitions_path = "/components/schemas".into();
                s.meta_schema = None;
            });
            let mut generator = settings.into_generator();
            $(generator.subschema_for::<$type>();)*
            generator.take_definitions(true)
        }
    };
}

contract_schemas! {
    Problem = contract::api::Problem;
    Readings = contract::health::Readings;
    CommandBody = contract::command::CommandBody;
    LessonMeta = contract::lesson::LessonMeta;
    LessonItem = contract::lesson::LessonItem;
    ItemKind = contract::lesson::ItemKind;
    EnrolmentTicket = contract::enrol::EnrolmentTicket;
    CountyFile = contract::usb::CountyFile;
    FailureReason = contract::report::FailureReason;
    Hardware = contract::hardware::Hardware;
    SilenceEntry = contract::records::SilenceEntry;
    SilenceChecks = contract::records::SilenceChecks;
    FaultClass = contract::records::FaultClass;
    RepairState = contract::records::RepairState;
    NoticeLevel = contract::command::NoticeLevel;
    Weeks = contract::classroom::Weeks;
    NetworkReport = contract::report::NetworkReport;
    ControlsReport = contract::controls::ControlsReport;
}
