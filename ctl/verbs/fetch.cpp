#include "ctl/verbs/fetch.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <memory>
#include <utility>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/codec/secret.hpp"
#include "config/model/tier.hpp"
#include "ctl/verbs/kind_words.hpp"

namespace manul::ctl {

namespace {

using model::Key;
using model::Kind;

/// The scope of a kind; a kind that was named before goes on in its scope.
Scope& scope_of(std::vector<Scope>& scopes, Kind kind, bool is_new_list) {
    const auto at = std::ranges::find(scopes, kind, &Scope::kind);
    if (at == scopes.end()) {
        return scopes.emplace_back(Scope{.kind = kind, .ns = {}, .keys = {}, .selection = {}});
    }
    if (is_new_list) {
        at->keys.clear();
    }
    return *at;
}

void add_words(Scopes& out, const ObjectQuery& query) {
    AskedWords words = parse_asked(query.words);
    std::ranges::move(words.errors, std::back_inserter(out.errors));
    for (const auto& [kind, names] : words.asked) {
        const model::KindInfo& info = model::info(kind);
        if (!info.namespaced && query.input.ns) {
            out.errors.push_back(std::string(info.name) + " is not namespaced: leave out -n");
            continue;
        }
        Scope& scope = scope_of(out.scopes, kind, names.empty());
        if (info.namespaced && !query.all_namespaces) {
            scope.ns = query.input.ns.value_or("default");
        }
        for (const std::string& name : names) {
            scope.keys.push_back({kind, scope.ns.value_or(""), name});
        }
    }
}

void add_files(Scopes& out, const Context& context, const ObjectQuery& query) {
    Input input = read_input(context, query.input, Purpose::name);
    std::ranges::move(input.errors, std::back_inserter(out.errors));
    for (const InputObject& object : input.objects) {
        scope_of(out.scopes, object.key.kind, false).keys.push_back(object.key);
    }
}

std::vector<std::string> add_selection(std::vector<Scope>& scopes, const ObjectQuery& query) {
    std::vector<std::string> errors;
    for (Scope& scope : scopes) {
        auto labels = serve::LabelQuery::parse(query.labels);
        auto fields = serve::FieldQuery::parse(scope.kind, query.fields);
        if (!labels || !fields) {
            errors.push_back(labels ? fields.error().message : labels.error().message);
            return errors;
        }
        scope.selection = {*std::move(labels), *std::move(fields)};
        if (!scope.selection.empty() && !scope.keys.empty()) {
            errors.emplace_back("give either names or a selector");
            return errors;
        }
    }
    return errors;
}

bool in_any_namespace(const Key& key) { return key.ns.empty() && model::info(key.kind).namespaced; }

std::string missing(const Key& key) {
    return "resource does not exist: " + std::string(model::info(key.kind).name) + "(" + key.name +
           ") in any namespace";
}

double order_of_tier(const store::Object& object) {
    const auto tier =
        model::as<model::Tier>(codec::decode(Kind::tier, *object.document, codec::Mode::lenient).resource);
    return tier && tier->spec.order ? *tier->spec.order : std::numeric_limits<double>::infinity();
}

/// Named objects, each where it is.
void get_by_name(store::Store& store, const Scope& scope, Found& found, std::vector<std::string>& errors) {
    for (const Key& key : scope.keys) {
        if (auto object = store.get(key)) {
            found.objects.push_back(*std::move(object));
        } else {
            errors.push_back(describe(object.error()));
        }
    }
}

}  // namespace

bool Scope::covers(const Key& key) const {
    if (keys.empty()) {
        return !ns || key.ns == *ns;
    }
    return std::ranges::any_of(keys, [&key](const Key& asked) {
        return asked.name == key.name && (asked.ns == key.ns || in_any_namespace(asked));
    });
}

bool Scope::covers(const store::Object& object) const {
    return covers(object.key) && (selection.empty() || selection.matches(*object.document));
}

Scopes scopes_of(const Context& context, const ObjectQuery& query) {
    Scopes out;
    if (query.words.empty()) {
        add_files(out, context, query);
    } else {
        add_words(out, query);
    }
    std::ranges::move(add_selection(out.scopes, query), std::back_inserter(out.errors));
    return out;
}

store::StoreResult<Found> list_objects(store::Store& store, const Scope& scope, std::vector<std::string>& errors) {
    const auto ns = scope.keys.empty() ? scope.ns : std::nullopt;
    MANUL_TRY(store::Listing listing, store.list({.kind = scope.kind, .ns = ns, .name_prefix = {}}));
    std::erase_if(listing.items, [&scope](const store::Object& object) { return !scope.covers(object); });
    std::ranges::sort(listing.items, {}, &store::Object::key);
    if (scope.kind == Kind::tier) {  // as calicoctl prints them: as they are evaluated
        std::ranges::stable_sort(listing.items, {}, order_of_tier);
    }
    for (const store::DamagedObject& damaged : listing.damaged) {
        if (scope.covers(damaged.key)) {
            errors.push_back(describe(damaged.error));
        }
    }
    return Found{.kind = scope.kind,
                 .objects = std::move(listing.items),
                 .by_name = !scope.keys.empty(),
                 .revision = std::move(listing.revision)};
}

Answer fetch(const Context& context, const ObjectQuery& query) {
    Scopes asked = scopes_of(context, query);
    Answer answer{.found = {}, .errors = std::move(asked.errors)};
    for (const Scope& scope : asked.scopes) {
        if (!scope.keys.empty() && std::ranges::none_of(scope.keys, in_any_namespace)) {
            Found& found = answer.found.emplace_back(Found{.kind = scope.kind, .by_name = true});
            get_by_name(*context.store, scope, found, answer.errors);
            continue;
        }
        auto found = list_objects(*context.store, scope, answer.errors);
        if (!found) {
            answer.errors.push_back(describe(found.error()));
            continue;
        }
        for (const Key& key : scope.keys) {
            if (std::ranges::none_of(found->objects,
                                     [&key](const store::Object& o) { return o.key.name == key.name; })) {
                answer.errors.push_back(missing(key));
            }
        }
        answer.found.push_back(*std::move(found));
    }
    return answer;
}

Result<void> mask_secret(store::Object& object) {
    if (object.key.kind == Kind::secret && object.document) {
        MANUL_TRY(std::string masked, codec::masked_secret(*object.document));
        object.document = std::make_shared<const std::string>(std::move(masked));
    }
    return {};
}

}  // namespace manul::ctl
