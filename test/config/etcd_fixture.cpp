#include "test/config/etcd_fixture.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "config/store/etcd.hpp"
#include "config/store/etcd/etcd_backend.hpp"
#include "config/store/object_store.hpp"
#include "config/store/watched_kinds.hpp"
#include "test/config/etcd_server.hpp"

namespace manul::test {

namespace {

using store::StoreResult;
using store::etcd::EtcdBackend;

/// etcd keeps its history until somebody discards it: here all but the last revisions, before each watch.
class SmallLogBackend final : public store::Backend {
public:
    explicit SmallLogBackend(store::EtcdOptions options) : etcd_(std::move(options)) {}

    [[nodiscard]] StoreResult<store::Snapshot> read(std::span<const model::Key> keys) override {
        return etcd_.read(keys);
    }
    [[nodiscard]] StoreResult<store::Listing> scan(const store::ListQuery& query) override { return etcd_.scan(query); }
    [[nodiscard]] StoreResult<store::Revision> commit(std::span<const store::Mutation> mutations,
                                                      std::span<const store::KindUnchanged> kinds) override {
        return etcd_.commit(mutations, kinds);
    }
    [[nodiscard]] bool transactional() const noexcept override { return true; }
    [[nodiscard]] StoreResult<std::string> identity() override { return etcd_.identity(); }
    [[nodiscard]] StoreResult<std::unique_ptr<store::Watch>> watch(std::span<const store::WatchStart> starts) override {
        MANUL_TRY(const std::int64_t revision, etcd_.revision());
        static_cast<void>(etcd_.compact(revision - 20));  // done already by a watch before
        return etcd_.watch(starts);
    }

private:
    EtcdBackend etcd_;
};

}  // namespace

StoreFixture etcd_fixture() {
    static const EtcdCluster server;
    const auto options = [](const std::string& prefix) {
        return store::EtcdOptions{.endpoints = server.endpoints(), .prefix = prefix};
    };
    const std::string prefix = EtcdCluster::fresh_prefix();
    return {
        .name = "etcd",
        .open = [=] { return store::open_etcd(options(prefix)); },
        .open_small_log =
            [=] {
                return std::make_unique<store::ObjectStore>(
                    std::make_unique<SmallLogBackend>(options(prefix + "-small")));
            },
        .backend = [=] { return std::make_unique<EtcdBackend>(options(EtcdCluster::fresh_prefix())); },
    };
}

}  // namespace manul::test
