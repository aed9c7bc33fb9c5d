#include "config/store/module.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.hpp"

namespace manul::store {

namespace {

std::vector<std::filesystem::path> places() {
    std::vector<std::filesystem::path> out;
    if (const char* given = std::getenv("MANUL_MODULE_DIR")) {
        out.emplace_back(given);
    }
    std::error_code failed;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
    if (!failed) {
        out.push_back(program / "../config/store");     // of <build>/ctl
        out.push_back(program / "../../config/store");  // of <build>/test/config
        out.push_back(program / "../serve");
        out.push_back(program / "../../serve");
    }
    out.emplace_back(MANUL_MODULE_INSTALL_DIR);
    return out;
}

}  // namespace

Result<void*> load_symbol(const std::string& module, const std::string& symbol, const std::string& package) {
    for (const std::filesystem::path& place : places()) {
        const std::filesystem::path file = place / module;
        std::error_code failed;
        if (!std::filesystem::exists(file, failed)) {
            continue;
        }
        void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) {
            return fail("cannot load " + file.string() + ": " + ::dlerror());
        }
        void* const found = ::dlsym(library, symbol.c_str());
        return found != nullptr ? Result<void*>(found) : fail(file.string() + " is of another version of Manul");
    }
    return fail("the module " + module + " is not installed; install " + package);
}

}  // namespace manul::store
