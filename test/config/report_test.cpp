#include "config/report.hpp"

#include <catch2/catch.hpp>
#include <chrono>  // NOLINT(misc-include-cleaner): its literals
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "base/daemon.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/model/node_report.hpp"
#include "config/store/memory.hpp"
#include "config/store/store.hpp"

using namespace manul::config;
using namespace std::chrono_literals;
namespace model = manul::model;

namespace {

model::NodeReportSpec report(const std::string& version) {
    model::NodeReportSpec spec;
    spec.node = "node-a";
    spec.version = version;
    return spec;
}

}  // namespace

TEST_CASE("a report is written when it changes, and not more often than the size of the cluster allows") {
    const ReportPacer::Time start{};
    ReportPacer pacer;
    CHECK(!pacer.next_deadline());
    CHECK(!pacer.take(start));

    pacer.offer(report("1"));
    const auto first = pacer.take(start);
    REQUIRE(first);
    CHECK(first->version == "1");
    CHECK(!pacer.next_deadline());  // one write at a time
    pacer.finished(true);
    pacer.offer(report("1"));
    CHECK(!pacer.next_deadline());

    pacer.offer(report("2"));
    CHECK(pacer.next_deadline() == start + 1s);
    CHECK(!pacer.take(start + 999ms));
    pacer.offer(report("1"));
    CHECK(!pacer.next_deadline());  // back to what is stored
    pacer.offer(report("3"));
    pacer.set_node_count(1000);
    CHECK(pacer.next_deadline() == start + 10s);
    pacer.set_node_count(10);
    CHECK(pacer.take(start + 1s)->version == "3");
}

TEST_CASE("a report that could not be written is written again, as it should be then") {
    const ReportPacer::Time start{};
    ReportPacer pacer;
    pacer.offer(report("1"));
    REQUIRE(pacer.take(start));
    pacer.offer(report("2"));
    pacer.finished(false);
    CHECK(pacer.next_deadline() == start + 1s);
    CHECK(pacer.take(start + 1s)->version == "2");
    pacer.finished(true);
    CHECK(!pacer.next_deadline());
}

TEST_CASE("nothing is written to a locked datastore, and the report as it is then when the lock ends") {
    const auto database = manul::store::make_memory_database();
    const auto store = manul::store::make_memory(database);
    const auto administrator = manul::store::make_memory(database);
    const model::Key cluster{model::Kind::cluster_information, "", "default"};
    const auto lock = [&](const char* ready) {
        const auto found = administrator->get(cluster);
        REQUIRE(found);
        auto document = manul::codec::parse_json(*found->document);
        REQUIRE(document);
        document->make("spec")
            .make("datastoreReady")
            .assign({.type = manul::codec::Tree::Type::boolean, .text = ready});
        REQUIRE(administrator->update(cluster, to_json(*document), std::nullopt));
    };
    lock("false");
    boost::asio::io_context io;
    const auto guard = boost::asio::make_work_guard(io);
    manul::Worker worker(io);
    ReportWriter writer(io, worker, *store);
    const model::Key key{model::Kind::node_report, "", "node-a.bgpd"};
    const auto run = [&](const auto& done) {
        for (int i = 0; i < 1000 && !done(); ++i) {
            io.run_for(20ms);
            io.restart();
        }
        return done();
    };
    model::NodeReportSpec spec = report("1");
    spec.daemon = model::ReportDaemon::bgpd;
    writer.update(spec);
    io.run_for(1500ms);  // a first attempt and a second one
    io.restart();
    CHECK(!administrator->get(key));
    spec.version = "2";
    writer.update(spec);
    lock("true");
    REQUIRE(run([&] { return administrator->get(key).has_value(); }));
    CHECK(administrator->get(key)->document->find(R"("version":"2")") != std::string::npos);
}

TEST_CASE("the writer stores the report under the node's and daemon's name") {
    const auto database = manul::store::make_memory_database();
    const auto store = manul::store::make_memory(database);
    boost::asio::io_context io;
    const auto guard = boost::asio::make_work_guard(io);
    manul::Worker worker(io);
    ReportWriter writer(io, worker, *store);
    model::NodeReportSpec spec = report("1");
    spec.daemon = model::ReportDaemon::bgpd;
    writer.update(spec);
    const auto reader = manul::store::make_memory(database);
    const model::Key key{model::Kind::node_report, "", "node-a.bgpd"};
    std::optional<manul::store::Object> found;
    for (int i = 0; i < 1000 && !found; ++i) {
        io.run_for(20ms);
        io.restart();
        if (auto object = reader->get(key)) {
            found = *std::move(object);
        }
    }
    REQUIRE(found);
    CHECK(found->document->find(R"("daemon":"bgpd")") != std::string::npos);
}
