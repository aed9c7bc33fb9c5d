// Any text is refused or parsed; the canonical text of what was parsed parses to the same selector.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/model/resource.hpp"

#include "config/model/selector.hpp"

using manul::model::Selector;
using manul::model::StringMap;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto selector = Selector::parse(text);
    if (!selector) {
        return 0;
    }
    const auto again = Selector::parse(selector->to_string());
    const StringMap labels{{"a", "x"}, {"b", ""}, {"app", "web"}};
    if (!again || *again != *selector || again->matches(labels) != selector->matches(labels) ||
        Selector::negate(*selector).matches(labels) == selector->matches(labels)) {
        std::abort();
    }
    return 0;
}
