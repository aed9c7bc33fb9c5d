#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/kubernetes.hpp"
#include "ipam/core/draft.hpp"
#include "ipam/local/protocol.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// Calico's annotations `cni.projectcalico.org/NAME`, whose values are JSON lists of texts. Pure.
namespace manul::ipam {

/// The JSON list of texts that an annotation holds.
[[nodiscard]] Outcome<std::vector<std::string>> read_text_list(std::string_view annotation, const std::string& text);

/// The annotations that count for one attachment: the Pod object's, then those that the runtime passed, then the
/// namespace's. The first that has a name wins; each value that cannot be read is an error that names it.
class Annotations {
public:
    /// `pod` and `ns` may be null.
    Annotations(const Request& request, const model::Pod* pod, const model::Namespace* ns);

    [[nodiscard]] Outcome<std::optional<std::vector<std::string>>> list(std::string_view name) const;
    [[nodiscard]] Outcome<std::optional<std::vector<net::Ip>>> addresses(std::string_view name) const;
    [[nodiscard]] Outcome<std::optional<std::vector<net::Prefix>>> prefixes(std::string_view name) const;

private:
    std::vector<model::StringMap> maps_;
};

}  // namespace manul::ipam
