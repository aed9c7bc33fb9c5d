#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/model/kind.hpp"
#include "config/store/etcd/member.hpp"
#include "config/store/store.hpp"

/// Where objects stand in etcd: `<prefix>/<group or core>/<plural>/<namespace or ->/<name>`, the value the whole
/// document.
namespace manul::store::etcd {

class Keys {
public:
    explicit Keys(std::string prefix);

    [[nodiscard]] std::string of(const model::Key& key) const;
    [[nodiscard]] Range of(model::Kind kind) const;
    /// A range that holds all that the query asks for, and perhaps more.
    [[nodiscard]] Range of(const ListQuery& query) const;
    /// Nothing for a key that names no object of the kind: somebody else's.
    [[nodiscard]] std::optional<model::Key> parse(model::Kind kind, std::string_view key) const;
    /// The same for many: `start` is what beginning(kind) gives.
    [[nodiscard]] static std::optional<model::Key> parse(model::Kind kind, std::string_view start,
                                                         std::string_view key);
    /// What every key of the kind begins with.
    [[nodiscard]] std::string beginning(model::Kind kind) const;

private:
    std::string prefix_;
};

}  // namespace manul::store::etcd
