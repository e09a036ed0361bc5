//! How functions start: with secrets that the emulator keeps.

use std::collections::BTreeMap;

use waypost_aws::clients::Clients;
use waypost_aws::testing::create_edge_table;
use waypost_functions::publish::targets;
use waypost_functions::renewal::{RENEWED_AFTER_MS, Renewed};
use waypost_functions::serving;
use waypost_functions::start::{StartError, Started, start_with};
use waypost_host::ambient::Ambient;
use waypost_service::publish::EdgeStore;
use waypost_tests_aws::emulator::Emulator;
use waypost_tests_aws::faults::Faults;
use waypost_wire::state::STATE_KEY;
use waypost_wire::time::Timestamp;

const ADMIN_KEY: &str = "an-admin-key-of-twenty-characters";
const EDGE_KEYS: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const SEAL_KEYS: &str = "0101010101010101010101010101010101010101010101010101010101010101";

/// A function's environment, with a secret for each of these variables.
async fn environment(secrets: &[(&str, &str)]) -> (Clients, Faults, BTreeMap<String, String>) {
    let emulator = Emulator::shared();
    let (clients, names) = emulator.tables().await;
    let mut environment = BTreeMap::from(
        [
            ("public_url", "https://go.example"),
            ("links_table", &names.links),
            ("control_table", &names.control),
            ("counters_table", &names.counters),
            ("raw_bucket", &names.raw_bucket),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    for (variable, text) in secrets {
        let name = format!("{}-{variable}", names.links);
        let made = clients.secrets.create_secret().name(&name).secret_string(*text).send().await;
        made.expect("a secret");
        environment.insert((*variable).to_owned(), name);
    }
    let faults = Faults::default();
    (faults.clients(&emulator.url()).await, faults, environment)
}

async fn started(secrets: &[(&str, &str)]) -> (Result<Started, StartError>, Faults) {
    let (clients, faults, environment) = environment(secrets).await;
    (start_with(&environment, async { clients }).await, faults)
}

#[tokio::test]
async fn a_function_reads_its_secrets_and_nothing_else() {
    let secrets = [
        ("edge_keys_secret", EDGE_KEYS),
        ("seal_keys_secret", SEAL_KEYS),
        ("admin_key_secret", " an-admin-key-of-twenty-characters\n"),
    ];
    let (started, faults) = started(&secrets).await;
    let started = started.expect("it starts");
    assert_eq!(started.settings.admin_key.as_deref(), Some(ADMIN_KEY));
    serving::api(&started, Ambient::system()).expect("an API");
    serving::service(&started, Ambient::system()).expect("a control plane");
    assert_eq!(faults.sent(), ["GetSecretValue"; 3], "no machine number is taken");

    let (alone, faults) = self::started(&secrets[..1]).await;
    assert_eq!(alone.expect("it starts").settings.admin_key, None);
    assert_eq!(faults.sent(), ["GetSecretValue"]);
}

/// What is wrong with a secret is told with the variable that names it, and without the secret.
#[tokio::test]
async fn a_secret_that_will_not_do_is_refused_by_the_name_of_its_setting() {
    let good = [
        ("edge_keys_secret", EDGE_KEYS),
        ("seal_keys_secret", SEAL_KEYS),
        ("admin_key_secret", ADMIN_KEY),
    ];
    for (variable, weak) in [
        ("admin_key_secret", "hunter2"),
        ("admin_key_secret", ""),
        ("admin_key_secret", "with spaces in it, which no header has"),
        ("edge_keys_secret", "too-short"),
        ("edge_keys_secret", "check:00"),
        ("seal_keys_secret", "seal-me"),
    ] {
        let secrets = good.map(|(name, text)| (name, if name == variable { weak } else { text }));
        let told = match started(&secrets).await.0 {
            Err(StartError::Secret { variable, problem }) => format!("{variable}: {problem}"),
            other => panic!("{variable} {weak:?}: {other:?}"),
        };
        assert!(told.starts_with(&format!("WAYPOST_{}: ", variable.to_uppercase())), "{told}");
        assert!(weak.is_empty() || !told.contains(weak), "{told}");
    }
    // One that is not there is told by its name.
    let (clients, _, mut environment) = environment(&good).await;
    environment.insert("seal_keys_secret".to_owned(), "nowhere".to_owned());
    let error = start_with(&environment, async { clients }).await.expect_err("no such secret");
    assert!(matches!(error, StartError::Store(_)), "{error:?}");
    assert!(error.to_string().contains("ResourceNotFoundException"), "{error}");
}

/// A key that was taken away, or a token that was replaced, is known soon, and nothing is read before.
#[tokio::test]
async fn what_is_made_of_secrets_is_made_anew_when_one_changes() {
    let secrets = [("edge_keys_secret", EDGE_KEYS), ("admin_key_secret", ADMIN_KEY)];
    let (clients, faults, environment) = environment(&secrets).await;
    let id = environment["admin_key_secret"].clone();
    let own = clients.clone();
    let put = async |text: &str| {
        own.secrets
            .put_secret_value()
            .secret_id(&id)
            .secret_string(text)
            .send()
            .await
            .expect("put");
    };
    let make = |started: Started| Ok(started.settings.admin_key);
    let at = |ms| Timestamp(1_000_000 + ms);
    let renewed =
        Renewed::start(environment, async { clients }, make, at(0)).await.expect("starts");
    let other = "another-key-of-twenty-characters";
    put(other).await;
    let key = async |ms| renewed.current(at(ms)).await.as_deref().map(str::to_owned);
    assert_eq!(key(RENEWED_AFTER_MS - 1).await.as_deref(), Some(ADMIN_KEY));
    let reads = || faults.sent().iter().filter(|call| *call == "GetSecretValue").count();
    assert_eq!(reads(), 2, "only at the start");
    assert_eq!(key(RENEWED_AFTER_MS).await.as_deref(), Some(other));
    assert_eq!(key(RENEWED_AFTER_MS + 1).await.as_deref(), Some(other));
    assert_eq!(reads(), 2, "again");
    // What will not do changes nothing, and neither does a secret that cannot be read.
    put("weak").await;
    assert_eq!(key(2 * RENEWED_AFTER_MS).await.as_deref(), Some(other));
    own.secrets
        .delete_secret()
        .secret_id(&id)
        .force_delete_without_recovery(true)
        .send()
        .await
        .ok();
    assert_eq!(key(3 * RENEWED_AFTER_MS).await.as_deref(), Some(other));
}

/// An edge reads the table that is nearest to it, which need not be in the stack's region.
#[tokio::test]
async fn a_store_of_edges_may_be_in_another_region() {
    let (clients, _, mut environment) = environment(&[("edge_keys_secret", EDGE_KEYS)]).await;
    let table = format!("{}-edge", environment["links_table"]);
    let far = Clients { dynamo: clients.dynamo_in("eu-west-3"), ..clients.clone() };
    for clients in [&clients, &far] {
        create_edge_table(clients, &table).await.expect("a table in each region");
    }
    let stores =
        format!("dynamodb name=far table={table} region=eu-west-3; dynamodb table={table}");
    environment.insert("edge_stores".to_owned(), stores);
    let started = start_with(&environment, async { clients.clone() }).await.expect("it starts");
    let stores = targets(&environment, &started).expect("stores");
    let names: Vec<&str> = stores.iter().map(EdgeStore::name).collect();
    assert_eq!(names, ["far", "dynamodb"]);
    let in_table = async |clients: &Clients| {
        let call = clients.dynamo.get_item().table_name(&table);
        let call = call.key("PK", waypost_aws::item::text(STATE_KEY));
        call.send().await.expect("an answer").item.map(|item| item["VAL"].clone())
    };
    stores[0].put_state(b"far").await.expect("put");
    assert_eq!(in_table(&far).await, Some(waypost_aws::item::bytes(*b"far")));
    assert_eq!(in_table(&clients).await, None, "the same name, in the stack's own region");
    stores[1].put_state(b"near").await.expect("put");
    assert_eq!(in_table(&far).await, Some(waypost_aws::item::bytes(*b"far")));
    assert_eq!(in_table(&clients).await, Some(waypost_aws::item::bytes(*b"near")));
}
