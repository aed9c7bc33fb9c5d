#include "config/store/kubernetes/session.hpp"

#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <boost/json/object.hpp>

#include "base/overloaded.hpp"
#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/kubernetes/access.hpp"
#include "config/store/kubernetes/json_text.hpp"
#include "config/store/object_store.hpp"

namespace manul::store::kubernetes {

namespace json = boost::json;
using Code = StoreError::Code;

namespace {

constexpr const char* kPageSize = "500";

}  // namespace

StoreResult<void> Session::connect() {
    if (api_) {
        return {};
    }
    auto access = kubeconfig_.empty() ? in_cluster_access() : load_kubeconfig(kubeconfig_, context_);
    if (!access) {
        return std::unexpected(error(Code::unavailable, access.error().message));
    }
    auto server = parse_server(*access);
    if (!server) {
        return std::unexpected(error(Code::invalid, server.error().message));
    }
    const auto http = load_http_module();
    if (!http) {
        return std::unexpected(error(Code::unavailable, http.error().message));
    }
    http_ = *http;
    server_ = *std::move(server);
    server_.user_agent = (manager_.empty() ? "manul" : manager_) + "/" MANUL_VERSION;
    api_ = std::make_unique<Api>(Credentials(*std::move(access)), http_->make_client(server_), timeout_);
    return {};
}

StoreResult<Revision> Session::read_pages(std::string_view path, const Query& query, const TakePage& take,
                                          const std::function<void()>& restart) {
    std::string next;
    bool started_anew = false;
    while (true) {
        Query parameters = query;
        parameters["limit"] = kPageSize;
        if (!next.empty()) {
            parameters["continue"] = next;
        }
        auto answer = api_->get_text(path, parameters);
        if (!answer && answer.error().code == Code::compacted && !std::exchange(started_anew, true)) {
            // The pages of the first attempt are of a version that is gone: only a whole list is consistent.
            restart();
            next.clear();
            continue;
        }
        if (!answer) {
            return std::unexpected(std::move(answer).error());
        }
        MANUL_TRY(const json::object metadata, take(*answer));
        next = text_at(metadata, "continue");
        if (next.empty()) {
            return text_at(metadata, "resourceVersion");
        }
    }
}

StoreResult<void> check_limits(std::span<const Op> ops) {
    if (ops.size() > kMaxKeys) {
        return std::unexpected(
            error(Code::too_large,
                  fmt::format("a transaction takes at most {} keys, this one has {}", kMaxKeys, ops.size())));
    }
    std::set<model::Key> seen;
    std::size_t bytes = 0;
    for (const Op& op : ops) {
        const model::Key& key = std::visit([](const auto& part) -> const model::Key& { return part.key; }, op);
        const Put* put = std::get_if<Put>(&op);
        bytes += put == nullptr ? 0 : put->document.size();
        if (!seen.insert(key).second) {
            return std::unexpected(
                error(Code::invalid, key.to_string() + " is twice in one transaction; each key goes once"));
        }
        if (key.name.empty() || key.ns.empty() == model::info(key.kind).namespaced) {
            return std::unexpected(error(Code::invalid, key.to_string() +
                                                            ": a key has a name, and a namespace exactly where its "
                                                            "kind has one"));
        }
    }
    if (bytes > kMaxTransactionBytes) {
        return std::unexpected(
            error(Code::too_large,
                  fmt::format("a transaction takes at most {} bytes, this one has {}", kMaxTransactionBytes, bytes)));
    }
    return {};
}

}  // namespace manul::store::kubernetes
