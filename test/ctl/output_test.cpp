#include <catch2/catch.hpp>
#include <chrono>
#include <vector>

#include "ctl/node/status.hpp"
#include "ctl/node/supervisor.hpp"
#include "ctl/output/table.hpp"

using namespace manul::ctl;

TEST_CASE("tables align by characters") {
    Table table({"NAME", "VALUE"});
    table.add({"a", "1"});
    table.add({"größer", "2"});
    CHECK(table.plain() == "NAME     VALUE\na        1\ngrößer   2\n\n");
    CHECK(table.boxed() ==
          "+--------+-------+\n| NAME   | VALUE |\n+--------+-------+\n| a      | 1     |\n| größer | 2     "
          "|\n+--------+-------+\n");
}

TEST_CASE("sessions are shown a family apart, in calicoctl's words") {
    using manul::model::ReportedSession;
    const std::vector<ReportedSession> sessions{
        {.peer = "10.0.0.1",
         .family = "IPv4",
         .type = manul::model::SessionType::global,
         .as_number = std::nullopt,
         .state = manul::model::SessionState::established,
         .since = "2026-01-01T00:00:00Z",
         .last_error = "hold timer expired"},
        {.peer = "10.0.0.2",
         .family = "IPv4",
         .type = manul::model::SessionType::mesh,
         .as_number = std::nullopt,
         .state = manul::model::SessionState::active,
         .since = "2026-01-01T00:00:01Z",
         .last_error = "connection refused"},
    };
    CHECK(session_tables(sessions) ==
          "IPv4 BGP status\n"
          "+--------------+-------------------+-------+----------------------+-----------------------------+\n"
          "| PEER ADDRESS | PEER TYPE         | STATE | SINCE                | INFO                        |\n"
          "+--------------+-------------------+-------+----------------------+-----------------------------+\n"
          "| 10.0.0.1     | global            | up    | 2026-01-01T00:00:00Z | Established                 |\n"
          "| 10.0.0.2     | node-to-node mesh | start | 2026-01-01T00:00:01Z | Active (connection refused) |\n"
          "+--------------+-------------------+-------+----------------------+-----------------------------+\n"
          "No IPv6 peers found.\n");
}

TEST_CASE("a daemon that keeps ending is started less and less often, and forgiven after a minute") {
    using std::chrono::milliseconds;
    RestartDelay delay;
    CHECK(delay.after_run_of(milliseconds(10)) == milliseconds(0));
    CHECK(delay.after_run_of(milliseconds(10)) == milliseconds(1000));
    CHECK(delay.after_run_of(milliseconds(10)) == milliseconds(2000));
    for (int i = 0; i < 10; ++i) {
        CHECK(delay.after_run_of(milliseconds(10)) <= milliseconds(30000));
    }
    CHECK(delay.after_run_of(milliseconds(60000)) == milliseconds(0));
    CHECK(delay.after_run_of(milliseconds(10)) == milliseconds(1000));
}
