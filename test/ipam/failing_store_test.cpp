#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "config/model/block_affinity.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_handle.hpp"
#include "config/model/node.hpp"
#include "test/ipam/service_fixture.hpp"

// The datastore fails in every single step of every verb, and of what the daemon does unasked, in every way in which it
// can.

namespace manul::ipam {
namespace {

using test::bare;
using test::Fixture;
using test::kBoot;
using test::kNow;

/// A store of which one call fails.
class FailingStore final : public test::ForwardingStore {
public:
    enum class Way : std::uint8_t {
        unavailable,  ///< the call does nothing
        lost_answer,  ///< a write is carried out, but nobody is told
    };

    using ForwardingStore::ForwardingStore;

    void fail_call(std::size_t number, Way way) {
        calls_ = 0;
        failing_ = number;
        way_ = way;
    }
    void heal() { failing_ = 0; }
    [[nodiscard]] std::size_t calls() const noexcept { return calls_; }
    [[nodiscard]] bool failed() const noexcept { return failing_ != 0 && calls_ >= failing_; }

    store::StoreResult<store::Object> get(const model::Key& key) override {
        return call(false, [&] { return ForwardingStore::get(key); });
    }
    store::StoreResult<store::Listing> list(const store::ListQuery& query) override {
        return call(false, [&] { return ForwardingStore::list(query); });
    }
    store::StoreResult<store::Object> create(const model::Key& key, std::string_view document) override {
        return call(true, [&] { return ForwardingStore::create(key, document); });
    }
    store::StoreResult<store::Object> update(const model::Key& key, std::string_view document,
                                             const std::optional<store::Revision>& expected) override {
        return call(true, [&] { return ForwardingStore::update(key, document, expected); });
    }
    store::StoreResult<store::Object> remove(const model::Key& key,
                                             const std::optional<store::Revision>& expected) override {
        return call(true, [&] { return ForwardingStore::remove(key, expected); });
    }
    store::StoreResult<store::Revision> transact(std::span<const store::Op> ops, store::Checks checks) override {
        return call(true, [&] { return ForwardingStore::transact(ops, checks); });
    }
    store::StoreResult<std::unique_ptr<store::Watch>> watch(std::span<const store::WatchStart> starts) override {
        return call(false, [&] { return ForwardingStore::watch(starts); });
    }

private:
    template <class Work>
    auto call(bool writes, Work work) -> decltype(work()) {
        if (++calls_ != failing_) {
            return work();
        }
        if (way_ == Way::lost_answer && writes) {
            if (auto done = work(); !done) {
                return done;
            }
            return std::unexpected(store::StoreError{store::StoreError::Code::unknown_result, "timed out", {}});
        }
        return std::unexpected(store::StoreError{store::StoreError::Code::unavailable, "is away", {}});
    }

    std::size_t calls_ = 0;
    std::size_t failing_ = 0;
    Way way_ = Way::unavailable;
};

/// Runs `work(step)` with the first, the second, ... call of the store failing, until none of them is reached.
template <class Work>
void for_each_failing_call(FailingStore::Way way, Work work) {
    for (std::size_t failing = 1;; ++failing) {
        INFO("call " << failing << (way == FailingStore::Way::unavailable ? " does nothing" : " has a lost answer"));
        REQUIRE(failing < 200);
        if (!work(failing)) {
            CHECK(failing > 1);  // something was reached at all
            return;
        }
    }
}

/// Endpoints, handles and allocated addresses agree; returns how many there are.
std::size_t consistent(const Fixture& f) {
    std::set<std::string> used;
    for (const auto& endpoint : f.all<model::WorkloadEndpoint>()) {
        for (const net::Prefix& network : endpoint->spec.ip_networks) {
            CHECK(used.insert(network.address().to_string()).second);
        }
    }
    std::set<std::string> allocated;
    for (const auto& object : f.all<model::IpamBlock>()) {
        const auto block = Block::from_model(object->spec);
        REQUIRE(block);
        for (std::size_t i = 0; i < block->size(); ++i) {
            if (block->owner(static_cast<Block::Ordinal>(i))) {
                CHECK(allocated.insert(block->address(static_cast<Block::Ordinal>(i)).to_string()).second);
            }
        }
    }
    CHECK(used == allocated);
    CHECK(f.all<model::IpamHandle>().size() == used.size());
    return used.size();
}

TEST_CASE("a store that fails in any step of ADD or DEL leaves what was answered, and the next try goes on") {
    for (const auto way : {FailingStore::Way::unavailable, FailingStore::Way::lost_answer}) {
        std::size_t steps = 1;
        for (std::size_t failing = 1; failing <= steps; ++failing) {
            INFO("call " << failing);
            Fixture f("10.0.0.0/28", 30);
            FailingStore flaky(*f.store);
            Service service(flaky, {"n1", kBoot});
            REQUIRE(service.start());
            const std::vector<Request> pods{bare("a"), bare("b")};

            flaky.fail_call(failing, way);
            std::size_t good = 0;
            for (const AddResult& result : service.add(pods, kNow)) {
                CHECK((!result.answer.error || result.answer.error->code == 11));
                good += result.answer.error ? 0U : 1U;
            }
            steps = std::max(steps, flaky.calls());
            flaky.heal();
            CHECK(consistent(f) == good);  // one of two may have failed
            for (const AddResult& result : service.add(pods, kNow)) {
                CHECK_FALSE(result.answer.error);
            }
            CHECK(consistent(f) == 2);

            const std::vector<Release> releases{{"net", pods[0].attachment}, {"net", pods[1].attachment}};
            flaky.fail_call(failing, way);
            good = 0;
            for (const auto& result : service.release(releases, kNow)) {
                good += result ? 1U : 0U;
            }
            flaky.heal();
            CHECK(consistent(f) == 2 - good);
            for (const auto& result : service.release(releases, kNow)) {
                CHECK(result);
            }
            CHECK(consistent(f) == 0);
            // Whatever was answered, every address can be had again.
            std::vector<Request> all;
            for (int i = 0; i < 16; ++i) {
                all.push_back(bare("c" + std::to_string(i)));
            }
            for (const AddResult& result : service.add(all, kNow)) {
                CHECK_FALSE(result.answer.error);
            }
            CHECK(consistent(f) == 16);
        }
        CHECK(steps >= 4);
    }
}

TEST_CASE("a store that fails in any step of CHECK or STATUS makes them say so, and changes nothing") {
    const auto way = FailingStore::Way::unavailable;
    for (const Op op : {Op::check, Op::status}) {
        for_each_failing_call(way, [&](std::size_t failing) {
            Fixture f("10.0.0.0/28", 30);
            const Answer added = f.add(bare("a")).answer;
            REQUIRE_FALSE(added.error);
            FailingStore flaky(*f.store);
            Service service(flaky, {"n1", kBoot});
            REQUIRE(service.start());
            Request question = bare("a");
            question.op = op;
            question.ips = added.ips;
            const auto ask = [&] { return op == Op::check ? service.check(question) : service.status(question, kNow); };
            flaky.fail_call(failing, way);
            const Answer answer = ask();
            const bool reached = flaky.failed();
            flaky.heal();
            if (reached) {
                REQUIRE(answer.error);
                CHECK(answer.error->code == (op == Op::check ? 11 : 50));
                CHECK_THAT(answer.error->msg, Catch::Contains("is away"));
            } else {
                CHECK_FALSE(answer.error);
            }
            CHECK(consistent(f) == 1);
            CHECK_FALSE(ask().error);  // the next question finds no trace of the failure
            return reached;
        });
    }
}

TEST_CASE("STATUS tells of a store that is away, although an address could be given from memory") {
    Fixture f("10.0.0.0/28", 30);
    FailingStore flaky(*f.store);
    Service service(flaky, {"n1", kBoot});
    REQUIRE(service.start());
    const std::vector requests{bare("a")};
    REQUIRE_FALSE(service.add(requests, kNow).front().answer.error);
    Request question = bare("a");
    question.op = Op::status;
    CHECK_FALSE(service.status(question, kNow).error);
    flaky.fail_call(1, FailingStore::Way::unavailable);
    const Answer answer = service.status(question, kNow);
    REQUIRE(answer.error);
    CHECK(answer.error->code == 50);
}

TEST_CASE("a store that takes no writes is remembered until it takes one") {
    Fixture f("10.0.0.0/28", 30);
    FailingStore flaky(*f.store);
    Service service(flaky, {"n1", kBoot});
    REQUIRE(service.start());
    for (std::size_t call = 1; !service.committer().problem(); ++call) {  // until the call is the write
        REQUIRE(call < 12);
        flaky.fail_call(call, FailingStore::Way::unavailable);
        const std::vector requests{bare("a" + std::to_string(call))};
        (void)service.add(requests, kNow);
    }
    CHECK_THAT(service.committer().problem()->msg, Catch::Contains("is away"));
    flaky.heal();
    const std::vector requests{bare("b")};
    REQUIRE_FALSE(service.add(requests, kNow).front().answer.error);
    CHECK_FALSE(service.committer().problem());
}

TEST_CASE("a store that fails in any step of GC leaves whole attachments, and the next GC goes on") {
    for (const auto way : {FailingStore::Way::unavailable, FailingStore::Way::lost_answer}) {
        for_each_failing_call(way, [&](std::size_t failing) {
            Fixture f("10.0.0.0/28", 30);
            for (const char* name : {"a", "b", "c"}) {
                REQUIRE_FALSE(f.add(bare(name)).answer.error);
            }
            FailingStore flaky(*f.store);
            Service service(flaky, {"n1", kBoot});
            REQUIRE(service.start());
            // As the daemon carries it out: what is there, less what the runtime names.
            const auto collect = [&] {
                const auto known = service.attachments();
                std::vector<Release> gone;
                for (const KnownAttachment& one : known.value_or(std::vector<KnownAttachment>())) {
                    if (one.attachment.container_id != "b") {
                        gone.push_back({one.network, one.attachment});
                    }
                }
                std::size_t good = 0;
                for (const auto& result : service.release(gone, kNow)) {
                    good += result ? 1U : 0U;
                }
                return good;
            };
            service.source().forget_all();  // as after a start: everything is read anew
            flaky.fail_call(failing, way);
            const std::size_t good = collect();
            const bool reached = flaky.failed();
            flaky.heal();
            // A lost answer may have been carried out; it is asked again and found.
            CHECK(consistent(f) == 3 - good);
            collect();
            CHECK(consistent(f) == 1);
            CHECK(f.endpoint()->spec.container_id == "b");
            return reached;
        });
    }
}

TEST_CASE("a store that fails in any step of the start, of tidying up or of tunnels changes nothing by halves") {
    for (const auto way : {FailingStore::Way::unavailable, FailingStore::Way::lost_answer}) {
        for_each_failing_call(way, [&](std::size_t failing) {
            Fixture f("10.0.0.0/28", 30);
            f.put(model::Kind::node, "", "n1",
                  R"({"apiVersion":"projectcalico.org/v3","kind":"Node","metadata":{"name":"n1"},"spec":{}})");
            f.put(
                model::Kind::ip_pool, "", "vx",
                R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"vx"},"spec":{"cidr":"10.1.0.0/24","vxlanMode":"Always"}})");
            for (int i = 0; i < 9; ++i) {
                REQUIRE_FALSE(f.add(bare("c" + std::to_string(i))).answer.error);
            }
            for (int i = 0; i < 8; ++i) {
                CHECK(f.release(bare("c" + std::to_string(i))));
            }
            FailingStore flaky(*f.store);
            Service service(flaky, {"n1", kBoot});
            flaky.fail_call(failing, way);
            const auto later = SteadyTime{} + 2 * EmptyBlocks::kGrace;
            const auto work = [&] {
                bool good = service.started() || service.start();
                good = good && service.tidy({}, std::nullopt, true, SteadyTime{}, kNow);
                good = good && service.tidy({}, std::nullopt, true, later, kNow);
                return good && service.sync_tunnels(kNow);
            };
            const bool good = work();
            const bool reached = flaky.failed();
            CHECK((good || reached));
            flaky.heal();
            REQUIRE(work());
            REQUIRE(work());
            // One pod and one tunnel end; each block has its affinity and the other way round.
            CHECK(f.all<model::IpamHandle>().size() == 2);
            CHECK(f.all<model::WorkloadEndpoint>().size() == 1);
            const auto blocks = f.all<model::IpamBlock>();
            const auto affinities = f.all<model::BlockAffinity>();
            REQUIRE(blocks.size() == affinities.size());
            CHECK(blocks.size() == 2);
            for (std::size_t i = 0; i < blocks.size(); ++i) {
                CHECK(blocks[i]->spec.cidr == affinities[i]->spec.cidr);
                CHECK(affinities[i]->spec.state == model::AffinityState::confirmed);
            }
            const auto node = f.all<model::Node>().front();
            CHECK(node->spec.ipv4_vxlan_tunnel_addr);
            return reached;
        });
    }
}

}  // namespace
}  // namespace manul::ipam
