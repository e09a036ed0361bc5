"""Makes test.mmdb, a small address database: `pip install mmdb-writer netaddr`, then run this.

Addresses are of the ranges for documentation (RFC 5737, RFC 3849)."""

from mmdb_writer import MMDBWriter
from netaddr import IPSet

writer = MMDBWriter(6, ipv4_compatible=True, database_type="Waypost-Test-City", languages=["en"])
writer.insert_network(
    IPSet(["192.0.2.0/24", "2001:db8:1::/48"]),
    {
        "continent": {"code": "EU", "names": {"en": "Europe"}},
        "country": {"iso_code": "DE", "names": {"en": "Germany"}},
        "subdivisions": [{"iso_code": "BE", "names": {"en": "Land Berlin"}}],
        "city": {"names": {"en": "Berlin", "de": "Berlin"}},
        "location": {"time_zone": "Europe/Berlin"},
    },
)
writer.insert_network(
    IPSet(["198.51.100.0/24"]),
    {
        "continent": {"code": "NA"},
        "country": {"iso_code": "US"},
        "traits": {"is_hosting_provider": True},
    },
)
writer.to_db_file("test.mmdb")
