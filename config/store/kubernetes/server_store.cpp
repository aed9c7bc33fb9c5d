#include <algorithm>
#include <array>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/overloaded.hpp"
#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/kubernetes/api.hpp"
#include "config/store/kubernetes/documents.hpp"
#include "config/store/kubernetes/json_text.hpp"
#include "config/store/kubernetes/served_page.hpp"
#include "config/store/kubernetes/session.hpp"
#include "config/store/kubernetes/watch.hpp"
#include "config/store/server.hpp"
#include "config/store/store.hpp"

namespace manul::store {

namespace json = boost::json;
using namespace kubernetes;
using Code = StoreError::Code;

namespace {

constexpr const char* kTransactions = "/apis/manul.io/v1/transactions";
/// Asks for the values of secrets; they come when the caller may have them.
const Query kReveal{{"reveal", "true"}};

Place place(model::Kind kind) { return place_of(kind, CalicoGroup::served); }

Object to_object(Translated translated) {
    return Object{std::move(translated.key), std::move(translated.revision),
                  std::make_shared<const std::string>(json::serialize(translated.document))};
}

json::object reference(const model::Key& key) {
    return {{"apiVersion", model::api_version(key.kind)},
            {"kind", model::info(key.kind).name},
            {"namespace", key.ns},
            {"name", key.name}};
}

json::value precondition_json(const Precondition& precondition) {
    return precondition.absent ? json::object{{"absent", true}}
                               : json::object{{"resourceVersion", precondition.revision}};
}

StoreResult<json::object> put_json(const model::Key& key, std::string_view document) {
    MANUL_TRY(json::object parsed, parse_document(key, document));
    return json::object{{"put", std::move(parsed)}};
}

class ServerStore final : public Store {
public:
    explicit ServerStore(ServerOptions options)
        : session_(std::move(options.kubeconfig), std::move(options.context), std::move(options.manager),
                   options.timeout) {}

    [[nodiscard]] StoreResult<Object> get(const model::Key& key) override {
        MANUL_CHECK(session_.connect());
        auto answer = session_.api().get(place(key.kind).object(key.ns, key.name), query_of(key.kind));
        if (!answer) {
            return std::unexpected(answer.error().code == Code::not_found
                                       ? error(Code::not_found, "resource does not exist: " + key.to_string())
                                       : std::move(answer).error());
        }
        return to_object(*to_document(key.kind, place(key.kind), *std::move(answer)));
    }

    [[nodiscard]] StoreResult<Listing> list(const ListQuery& query) override {
        MANUL_CHECK(session_.connect());
        const Place where = place(query.kind);
        Listing listing;
        MANUL_TRY(listing.revision, session_.read_pages(
                                        where.collection(query.ns.value_or("")), query_of(query.kind),
                                        [&](std::string_view page) { return add_page(listing, query, where, page); },
                                        [&] {
                                            listing.items.clear();
                                            listing.damaged.clear();
                                        }));
        return listing;
    }

    [[nodiscard]] StoreResult<Object> create(const model::Key& key, std::string_view document) override {
        MANUL_TRY(json::object op, put_json(key, document));
        op["precondition"] = precondition_json({true, {}});
        return single(key, std::move(op));
    }

    [[nodiscard]] StoreResult<Object> update(const model::Key& key, std::string_view document,
                                             const std::optional<Revision>& expected) override {
        MANUL_TRY(json::object op, put_json(key, document));
        op["precondition"] = expected_json(expected);
        return single(key, std::move(op));
    }

    [[nodiscard]] StoreResult<Object> remove(const model::Key& key, const std::optional<Revision>& expected) override {
        json::object op{{"remove", reference(key)}};
        json::object need{{"present", true}};
        if (expected) {
            need["resourceVersion"] = *expected;
        }
        op["precondition"] = std::move(need);
        return single(key, std::move(op));
    }

    [[nodiscard]] StoreResult<Revision> transact(std::span<const Op> ops, Checks checks) override {
        MANUL_CHECK(check_limits(ops));
        json::array list;
        for (const Op& op : ops) {
            MANUL_TRY(json::object row, op_json(op));
            list.push_back(std::move(row));
        }
        MANUL_TRY(const json::object answer, send(std::move(list), checks));
        return text_at(answer, "revision");
    }

    [[nodiscard]] bool transactional() const noexcept override { return true; }

    [[nodiscard]] StoreResult<std::string> identity() override {
        MANUL_CHECK(session_.connect());
        MANUL_TRY(const json::object answer, session_.api().get(kServedIdentityPath));
        return text_at(object_at(answer, "metadata"), "uid");
    }

    [[nodiscard]] StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) override {
        MANUL_TRY(std::string known, identity());
        return open_watch(session_.http(), session_.api().access(), session_.server(), CalicoGroup::served,
                          std::move(known), starts);
    }

private:
    static Query query_of(model::Kind kind) { return kind == model::Kind::secret ? kReveal : Query{}; }

    static json::value expected_json(const std::optional<Revision>& expected) {
        return expected ? precondition_json({false, *expected}) : json::object{{"present", true}};
    }

    static StoreResult<json::object> op_json(const Op& op) {
        const auto with = [](json::object row, const std::optional<Precondition>& precondition) {
            if (precondition) {
                row["precondition"] = precondition_json(*precondition);
            }
            return row;
        };
        return std::visit(overloaded{[&](const Put& put) -> StoreResult<json::object> {
                                         MANUL_TRY(json::object row, put_json(put.key, put.document));
                                         return with(std::move(row), put.precondition);
                                     },
                                     [&](const Remove& remove) -> StoreResult<json::object> {
                                         return with({{"remove", reference(remove.key)}}, remove.precondition);
                                     },
                                     [&](const Check& check) -> StoreResult<json::object> {
                                         return with({{"check", reference(check.key)}}, check.precondition);
                                     }},
                          op);
    }

    StoreResult<json::object> send(json::array ops, Checks checks) {
        MANUL_CHECK(session_.connect());
        return session_.api().write(
            "POST", kTransactions, {},
            {{"checks", checks == Checks::full ? "full" : "own_fields_only"}, {"ops", std::move(ops)}});
    }

    StoreResult<Object> single(const model::Key& key, json::object op) {
        if (key.name.empty() || key.ns.empty() == model::info(key.kind).namespaced) {
            const Op whole = Remove{key, std::nullopt};
            MANUL_CHECK(check_limits(std::span(&whole, 1)));
        }
        MANUL_TRY(json::object answer, send(json::array{std::move(op)}, Checks::full));
        auto translated = to_document(key.kind, place(key.kind), object_at(answer, "object"));
        return to_object(*std::move(translated));
    }

    /// An item that is written as nobody expects is parsed.
    static std::optional<Object> object_of(model::Kind kind, const Place& where, std::string_view item) {
        if (auto object = cut_out(kind, item)) {
            return object;
        }
        auto parsed = parse_answer(item);
        auto translated = parsed ? to_document(kind, where, *std::move(parsed)) : std::nullopt;
        return translated ? std::optional(to_object(*std::move(translated))) : std::nullopt;
    }

    static StoreResult<json::object> add_page(Listing& listing, const ListQuery& query, const Place& where,
                                              std::string_view text) {
        auto page = split_page(text);
        if (!page) {
            return std::unexpected(error(Code::unavailable, "the server's answer is no list in JSON"));
        }
        for (const std::string_view item : page->items) {
            auto object = object_of(query.kind, where, item);
            if (object && object->key.name.starts_with(query.name_prefix)) {
                listing.items.push_back(*std::move(object));
            }
        }
        if (listing.damaged.empty()) {  // every page tells of all
            for (const json::value& row : array_at(page->metadata, "damaged")) {
                if (!row.is_object()) {
                    continue;
                }
                const json::object& damaged = row.get_object();
                listing.damaged.push_back({{query.kind, text_at(damaged, "namespace"), text_at(damaged, "name")},
                                           text_at(damaged, "resourceVersion"),
                                           error(Code::corrupt, text_at(damaged, "message"))});
            }
        }
        return std::move(page->metadata);
    }

    Session session_;
};

}  // namespace

std::unique_ptr<Store> open_server(ServerOptions options) { return std::make_unique<ServerStore>(std::move(options)); }

}  // namespace manul::store
