// Stores without transactions: the writes of an ADD, a DEL, a claim go one by one, and the process may stop after each.

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "config/model/block_affinity.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_handle.hpp"
#include "test/ipam/service_fixture.hpp"

namespace manul::ipam {
namespace {

using test::bare;
using test::Fixture;
using test::kBoot;
using test::kNow;

/// A store without its transactions, that dies after a number of writes.
class SingleWrites final : public test::ForwardingStore {
public:
    using ForwardingStore::ForwardingStore;

    void die_after(std::size_t writes) {
        writes_ = 0;
        allowed_ = writes;
    }
    [[nodiscard]] std::size_t writes() const noexcept { return writes_; }
    [[nodiscard]] bool dead() const noexcept { return dead_; }
    /// Called between two writes: another writer.
    std::function<void(const model::Key&)> before_write;

    store::StoreResult<store::Object> get(const model::Key& key) override {
        return dead() ? store::StoreResult<store::Object>(away()) : ForwardingStore::get(key);
    }
    store::StoreResult<store::Listing> list(const store::ListQuery& query) override {
        return dead() ? store::StoreResult<store::Listing>(away()) : ForwardingStore::list(query);
    }
    store::StoreResult<store::Revision> transact(std::span<const store::Op> ops, store::Checks checks) override {
        REQUIRE(ops.size() == 1);
        if (writes_ >= allowed_) {
            dead_ = true;
            return away();
        }
        ++writes_;
        if (before_write) {
            before_write(std::visit([](const auto& op) { return op.key; }, ops.front()));
        }
        return ForwardingStore::transact(ops, checks);
    }
    bool transactional() const noexcept override { return false; }

private:
    static std::unexpected<store::StoreError> away() {
        return std::unexpected(store::StoreError{store::StoreError::Code::unavailable, "is away", {}});
    }

    std::size_t writes_ = 0;
    std::size_t allowed_ = static_cast<std::size_t>(-1);
    bool dead_ = false;
};

/// One process over the fixture's store, ended by a death of the store under it.
struct Process {
    SingleWrites store;
    Service service;

    explicit Process(const Fixture& f, const std::string& node = "n1")
        : store(*f.store), service(store, {node, kBoot}) {
        REQUIRE(service.start());
    }
    AddResult add(const Request& request) { return service.add(std::span(&request, 1), kNow).front(); }
    Outcome<bool> release(const Request& request) {
        const Release release{request.network, request.attachment};
        return service.release(std::span(&release, 1), kNow).front();
    }
};

std::set<std::string> addresses_of_endpoints(const Fixture& f) {
    std::set<std::string> used;
    for (const auto& endpoint : f.all<model::WorkloadEndpoint>()) {
        for (const net::Prefix& network : endpoint->spec.ip_networks) {
            CHECK(used.insert(network.address().to_string()).second);
        }
    }
    return used;
}

std::set<std::string> allocated(const Fixture& f) {
    std::set<std::string> out;
    for (const auto& object : f.all<model::IpamBlock>()) {
        const auto block = Block::from_model(object->spec);
        REQUIRE(block);
        for (std::size_t i = 0; i < block->size(); ++i) {
            if (block->owner(static_cast<Block::Ordinal>(i))) {
                CHECK(out.insert(block->address(static_cast<Block::Ordinal>(i)).to_string()).second);
            }
        }
    }
    return out;
}

/// What must hold at every moment, also between two writes.
void check_never_wrong(const Fixture& f) {
    const std::set<std::string> held = allocated(f);
    for (const std::string& used : addresses_of_endpoints(f)) {
        CHECK(held.contains(used));  // else it could be given to another
    }
    std::set<std::string> confirmed;
    for (const auto& affinity : f.all<model::BlockAffinity>()) {
        if (affinity->spec.state != model::AffinityState::confirmed) {
            continue;
        }
        const auto blocks = f.all<model::IpamBlock>();
        const bool owns = std::ranges::any_of(blocks, [&](const auto& block) {
            return block->spec.cidr == affinity->spec.cidr &&
                   block->spec.affinity == host_affinity(affinity->spec.node);
        });
        CHECK(owns);  // else its routes would draw packets for nothing
    }
}

/// What must hold when nothing is under way.
void check_clean(const Fixture& f, std::size_t pods) {
    check_never_wrong(f);
    CHECK(addresses_of_endpoints(f).size() == pods);
    CHECK(allocated(f).size() == pods);
    CHECK(f.all<model::IpamHandle>().size() == pods);
    for (const auto& affinity : f.all<model::BlockAffinity>()) {
        CHECK(affinity->spec.state == model::AffinityState::confirmed);
    }
}

TEST_CASE("without transactions: a stop after any single write is repaired by the next ADD or DEL") {
    enum class Then : std::uint8_t { same_add, del, other_add };
    for (const Then then : {Then::same_add, Then::del, Then::other_add}) {
        std::size_t stop = 0;
        for (bool stopped = true; stopped; ++stop) {
            INFO("stop after write " << stop);
            Fixture f("10.0.0.0/28", 30);
            {
                // The first block is full, so that the second pod needs a claim.
                Process before(f);
                for (const char* name : {"x1", "x2", "x3", "x4"}) {
                    REQUIRE_FALSE(before.add(bare(name)).answer.error);
                }
            }
            check_clean(f, 4);
            {
                Process dies(f);
                dies.store.die_after(stop);
                const bool good = !dies.add(bare("a")).answer.error;
                stopped = dies.store.dead();
                CHECK(good == !stopped);
                check_never_wrong(f);
            }
            Process next(f);
            if (then == Then::del) {
                REQUIRE(next.release(bare("a")));
                CHECK(addresses_of_endpoints(f).size() == 4);
                CHECK(allocated(f).size() == 4);
                CHECK(f.all<model::IpamHandle>().size() == 4);
                REQUIRE_FALSE(next.add(bare("b")).answer.error);
                check_clean(f, 5);
            } else if (then == Then::same_add) {
                REQUIRE_FALSE(next.add(bare("a")).answer.error);
                check_clean(f, 5);
            } else {
                // Another node takes what is free; the first one's claim, if any, is not taken from it.
                Process other(f, "n2");
                REQUIRE_FALSE(other.add(bare("o")).answer.error);
                check_never_wrong(f);
                REQUIRE_FALSE(next.add(bare("a")).answer.error);
                check_clean(f, 6);
            }
        }
        CHECK(stop > 5);  // affinity pending, handle, block, affinity confirmed, endpoint
    }
}

TEST_CASE("without transactions: a stop after any single write of a DEL leaves the address with its endpoint or free") {
    std::size_t stop = 0;
    for (bool stopped = true; stopped; ++stop) {
        INFO("stop after write " << stop);
        Fixture f("10.0.0.0/28", 30);
        {
            Process before(f);
            REQUIRE_FALSE(before.add(bare("a")).answer.error);
            REQUIRE_FALSE(before.add(bare("b")).answer.error);
        }
        {
            Process dies(f);
            dies.store.die_after(stop);
            static_cast<void>(dies.release(bare("a")));
            stopped = dies.store.dead();
            check_never_wrong(f);
        }
        Process next(f);
        REQUIRE(next.release(bare("a")));
        check_clean(f, 1);
        REQUIRE_FALSE(next.add(bare("a")).answer.error);
        check_clean(f, 2);
    }
    CHECK(stop > 3);
}

TEST_CASE("without transactions: giving a block up in steps never leaves a confirmed claim without block") {
    std::size_t stop = 0;
    for (bool stopped = true; stopped; ++stop) {
        INFO("stop after write " << stop);
        Fixture f("10.0.0.0/28", 30);
        {
            Process before(f);
            for (const char* name : {"a", "b", "c", "d", "e"}) {
                REQUIRE_FALSE(before.add(bare(name)).answer.error);
            }
            REQUIRE(before.release(bare("e")));
        }
        {
            Process dies(f);
            const auto start = SteadyTime{} + std::chrono::hours(1);
            REQUIRE(dies.service.tidy({}, std::nullopt, false, start, kNow));
            dies.store.die_after(stop);
            static_cast<void>(dies.service.tidy({}, std::nullopt, false, start + std::chrono::hours(1), kNow));
            stopped = dies.store.dead();
            check_never_wrong(f);
        }
        Process next(f);
        REQUIRE_FALSE(next.add(bare("e")).answer.error);
        check_clean(f, 5);
    }
    CHECK(stop > 3);
}

TEST_CASE("without transactions: services that race for the last addresses give each away once") {
    Fixture f("10.0.0.0/28", 30);
    Process one(f, "n1");
    Process two(f, "n2");
    int number = 0;
    bool inside = false;
    // Between any two writes of the first, the second adds a pod, as long as there is room.
    one.store.before_write = [&](const model::Key& key) {
        if (!inside && number < 6 && key.kind == model::Kind::ipam_block) {
            inside = true;
            CHECK_FALSE(two.add(bare("t" + std::to_string(number++))).answer.error);
            inside = false;
        }
    };
    int good = 0;
    for (int i = 0; i < 12; ++i) {
        good += one.add(bare("o" + std::to_string(i))).answer.error ? 0 : 1;
        check_never_wrong(f);
    }
    CHECK(good + number == 16);
    check_clean(f, 16);
}

TEST_CASE("a status change of a Pod while its addresses are recorded is no conflict, another container is") {
    Fixture f("10.0.0.0/28", 30);
    Process process(f);
    REQUIRE_FALSE(process.add(bare("a")).answer.error);
    const model::Key key = f.endpoint()->key();
    const auto touch = [&](const std::string& container) {
        auto changed = std::make_shared<model::WorkloadEndpoint>(*f.endpoint());
        changed->metadata.labels["touched"] = container;
        changed->spec.container_id = container;
        REQUIRE(f.store->update(key, codec::encode(*changed), std::nullopt));
    };
    // The same attachment is asked for again, with another MAC: only the endpoint is written.
    Request again = bare("a");
    again.mac = net::Mac::parse("02:00:00:00:00:07");
    int touched = 0;
    process.store.before_write = [&](const model::Key& written) {
        if (written.kind == model::Kind::workload_endpoint && touched++ == 0) {
            touch("a");
        }
    };
    const std::size_t before = process.store.writes();
    REQUIRE_FALSE(process.add(again).answer.error);
    CHECK(process.store.writes() - before == 2);  // refused, then written at the new revision
    CHECK(f.endpoint()->spec.mac == again.mac);
    check_clean(f, 1);
}

}  // namespace
}  // namespace manul::ipam
