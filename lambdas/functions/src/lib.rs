//! Lambda functions: events in, service calls, answers out.
