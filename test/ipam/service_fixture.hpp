#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <catch2/catch.hpp>

#include "config/codec/json.hpp"
#include "config/model/workload_endpoint.hpp"
#include "config/store/memory.hpp"
#include "ipam/service/service.hpp"
#include "test/ipam/now.hpp"

/// One node's service over a datastore, in memory if none is given, and the documents and requests of its tests.
namespace manul::ipam::test {

inline constexpr const char* kBoot = "boot-1";

inline std::string pool_document(const std::string& name, const std::string& cidr, int block_size) {
    return fmt::format(
        R"({{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{{"name":"{}"}},"spec":{{"cidr":"{}","blockSize":{}}}}})",
        name, cidr, block_size);
}

inline std::string pod_document(const std::string& ns, const std::string& name, const std::string& label,
                                const std::string& extra = {}) {
    return fmt::format(
        R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}","namespace":"{}","labels":{{"app":"{}","pcns.team":"stolen"}}{}}},)"
        R"("spec":{{"serviceAccountName":"robot","containers":[{{"name":"c","image":"i","ports":[{{"name":"http","containerPort":8080}}]}}]}}}})",
        name, ns, label, extra);
}

inline Request bare(const std::string& container) {
    Request request;
    request.op = Op::add;
    request.network = "net";
    request.attachment = {container, "eth0"};
    request.host_interface = "cali" + container;
    return request;
}

inline Request pod_request(const std::string& container, const std::string& pod) {
    Request request = bare(container);
    request.host_interface = "cali" + pod;
    request.args = {{"K8S_POD_NAMESPACE", "prod"}, {"K8S_POD_NAME", pod}};
    return request;
}

/// One more Store of the same datastore, as a further process has it.
using OpenStore = std::function<std::unique_ptr<store::Store>()>;

inline OpenStore in_memory() {
    return [database = store::make_memory_database()] { return store::make_memory(database); };
}

/// Another store, as it is. Tests override what is to fail.
class ForwardingStore : public store::Store {
public:
    explicit ForwardingStore(store::Store& inner) : inner_(inner) {}

    store::StoreResult<store::Object> get(const model::Key& key) override { return inner_.get(key); }
    store::StoreResult<store::Listing> list(const store::ListQuery& query) override { return inner_.list(query); }
    store::StoreResult<store::Object> create(const model::Key& key, std::string_view document) override {
        return inner_.create(key, document);
    }
    store::StoreResult<store::Object> update(const model::Key& key, std::string_view document,
                                             const std::optional<store::Revision>& expected) override {
        return inner_.update(key, document, expected);
    }
    store::StoreResult<store::Object> remove(const model::Key& key,
                                             const std::optional<store::Revision>& expected) override {
        return inner_.remove(key, expected);
    }
    store::StoreResult<store::Revision> transact(std::span<const store::Op> ops, store::Checks checks) override {
        return inner_.transact(ops, checks);
    }
    bool transactional() const noexcept override { return inner_.transactional(); }
    store::StoreResult<std::string> identity() override { return inner_.identity(); }
    store::StoreResult<std::unique_ptr<store::Watch>> watch(std::span<const store::WatchStart> starts) override {
        return inner_.watch(starts);
    }

private:
    store::Store& inner_;
};

struct Fixture {
    OpenStore open;
    std::unique_ptr<store::Store> store = open();
    Service service{*store, {"n1", kBoot}};

    explicit Fixture(const std::string& cidr = "10.0.0.0/24", int block_size = 28, OpenStore datastore = in_memory())
        : open(std::move(datastore)) {
        put(model::Kind::ip_pool, "", "p", pool_document("p", cidr, block_size));
        REQUIRE(service.start());
    }
    void put(model::Kind kind, const std::string& ns, const std::string& name, const std::string& document) const {
        const model::Key key{kind, ns, name};
        auto done = store->update(key, document, std::nullopt);
        if (!done) {
            done = store->create(key, document);
        }
        INFO((done ? "" : done.error().message));
        REQUIRE(done);
    }
    template <class T>
    std::vector<std::shared_ptr<const T>> all() const {
        std::vector<std::shared_ptr<const T>> out;
        const auto listing = store->list({.kind = T::kKind, .ns = std::nullopt, .name_prefix = {}});
        REQUIRE(listing);
        for (const store::Object& object : listing->items) {
            const auto decoded = codec::decode_and_validate(T::kKind, *object.document, codec::Mode::strict);
            for (const auto& finding : decoded.findings) {
                UNSCOPED_INFO(finding.to_string());
            }
            CHECK(decoded.ok());
            out.push_back(model::as<T>(decoded.resource));
        }
        return out;
    }
    std::shared_ptr<const model::WorkloadEndpoint> endpoint() const {
        const auto endpoints = all<model::WorkloadEndpoint>();
        REQUIRE(endpoints.size() == 1);
        return endpoints.front();
    }
    AddResult add(const Request& request) { return service.add(std::span(&request, 1), kNow).front(); }
    bool release(const Request& request) {
        const Release release{request.network, request.attachment};
        const auto result = service.release(std::span(&release, 1), kNow).front();
        REQUIRE(result);
        return *result;
    }
};

}  // namespace manul::ipam::test
