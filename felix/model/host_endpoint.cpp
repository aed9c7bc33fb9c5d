#include "felix/model/host_endpoint.hpp"

#include <string_view>
#include <utility>

namespace manul::felix {

std::string_view to_string(HostStage stage) noexcept {
    switch (stage) {
        case HostStage::untracked:
            return "untracked";
        case HostStage::pre_dnat:
            return "preDNAT";
        case HostStage::forward:
            return "forward";
        case HostStage::normal:
            return "normal";
    }
    std::unreachable();
}

}  // namespace manul::felix
