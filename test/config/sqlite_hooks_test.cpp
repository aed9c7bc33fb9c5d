#include <signal.h>  // NOLINT(modernize-deprecated-headers): SIGXFSZ
#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/backend.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/store.hpp"
#include "test/config/sqlite_fixtures.hpp"
#include "test/config/store_contract.hpp"

using namespace manul::test;
using manul::model::Kind;
using namespace manul::store;

namespace {

/// While it lives, no file of this process can be written.
class NoMoreBytes {
public:
    NoMoreBytes() : signal_(::signal(SIGXFSZ, SIG_IGN)) {
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
        const rlimit none{0, before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);
    }
    ~NoMoreBytes() {
        (void)::setrlimit(RLIMIT_FSIZE, &before_);
        (void)::signal(SIGXFSZ, signal_);
    }
    NoMoreBytes(const NoMoreBytes&) = delete;
    NoMoreBytes& operator=(const NoMoreBytes&) = delete;

private:
    sighandler_t signal_;
    rlimit before_{};
};

}  // namespace

TEST_CASE("whoever asks hears of a commit before anybody can see it, and of its failure") {
    const ScratchDirectory scratch;
    const auto reader = open_sqlite(scratch.database());
    REQUIRE(reader->list({Kind::global_network_set, {}, {}}));
    std::vector<Revision> told;
    std::size_t failed = 0;
    bool visible = false;
    std::optional<NoMoreBytes> broken;
    bool break_disk = false;
    SqliteOptions options;
    options.hooks.about_to_commit = [&](std::span<const Mutation> mutations, const Revision& revision) {
        REQUIRE(mutations.size() == 1);
        told.push_back(revision);
        visible = visible || reader->get(mutations.front().key).has_value();
        CHECK(mutations.front().body.find(R"("uid")") != std::string::npos);
        if (break_disk) {
            broken.emplace();
        }
    };
    options.hooks.not_committed = [&] {
        broken.reset();
        ++failed;
    };
    const auto store = open_sqlite(scratch.database(), options);
    const auto created = store->create(set_key("a"), set_document("a"));
    REQUIRE(created);
    CHECK(told == std::vector{created->revision});
    CHECK_FALSE(visible);
    CHECK(reader->get(set_key("a")));
    CHECK_FALSE(store->create(set_key("a"), set_document("a")));  // refused before it is written
    CHECK(told.size() == 1);
    CHECK(failed == 0);

    break_disk = true;
    CHECK_FALSE(store->create(set_key("b"), set_document("b")));
    CHECK(told.size() == failed + 1);
    CHECK(failed == 1);
    CHECK_FALSE(reader->get(set_key("b")));

    break_disk = false;
    const auto later = store->create(set_key("c"), set_document("c"));
    REQUIRE(later);
    CHECK(told.back() == later->revision);
    CHECK(told.back() == told[1]);  // of the one that failed
}
