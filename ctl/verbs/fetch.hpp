#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "ctl/context.hpp"
#include "ctl/verbs/input.hpp"
#include "serve/selection.hpp"

/// From what a command line names to the objects in the datastore.
namespace manul::ctl {

struct ObjectQuery {
    InputOptions input;              ///< files that name the objects, and `-n`
    std::vector<std::string> words;  ///< KIND[,KIND...] [NAME...], or KIND/NAME...
    bool all_namespaces = false;
    std::string labels;  ///< selectors as kubectl writes them: `app=web,tier!=db`
    std::string fields;  ///< `metadata.name=a`
};

/// Objects of one kind that are asked for.
struct Scope {
    model::Kind kind{};
    std::optional<std::string> ns;  ///< nothing: every namespace, or the kind has none
    std::vector<model::Key> keys;   ///< a key of a namespaced kind without namespace: in any. None: all objects
    serve::Selection selection;

    [[nodiscard]] bool covers(const model::Key& key) const;
    [[nodiscard]] bool covers(const store::Object& object) const;
};

struct Scopes {
    std::vector<Scope> scopes;        ///< each kind once
    std::vector<std::string> errors;  ///< about words and files
};
[[nodiscard]] Scopes scopes_of(const Context& context, const ObjectQuery& query);

/// What one kind contributed to an answer, in the order of keys, or in the one in which they were named.
struct Found {
    model::Kind kind{};
    std::vector<store::Object> objects;
    bool by_name = false;
    store::Revision revision;  ///< of a list: where a watch begins
};

/// Lists the kind. Objects that cannot be read are named in `errors`.
[[nodiscard]] store::StoreResult<Found> list_objects(store::Store& store, const Scope& scope,
                                                     std::vector<std::string>& errors);

struct Answer {
    std::vector<Found> found;
    std::vector<std::string> errors;
};
/// Everything that the query names; named objects that do not exist are errors.
[[nodiscard]] Answer fetch(const Context& context, const ObjectQuery& query);

/// Replaces the values of a Secret: they are never shown.
[[nodiscard]] Result<void> mask_secret(store::Object& object);

}  // namespace manul::ctl
