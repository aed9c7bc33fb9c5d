#include "ctl/context.hpp"

namespace manul::ctl {

std::string describe(const store::StoreError& error) {
    std::string text = error.message;
    for (const std::string& detail : error.details) {
        text += "\n  " + detail;
    }
    return text;
}

}  // namespace manul::ctl
