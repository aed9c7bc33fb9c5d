#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "config/codec/yaml.hpp"
#include "config/model/kind.hpp"
#include "ctl/context.hpp"

namespace manul::ctl {

/// `-f`: files, directories (`*.yaml`, `*.yml`, `*.json`, in name order; below them with `recursive`), `-` for standard
/// input.
struct InputOptions {
    std::vector<std::string> paths;
    bool recursive = false;
    std::optional<std::string> ns;  ///< `-n`
};

/// One object to work on; `key` has its namespace filled in.
struct InputObject {
    model::Key key;
    std::string document;
    std::string resource_version;  ///< as written in the file; empty: none
    std::string origin;            ///< file:line
};

struct Input {
    std::vector<InputObject> objects;  ///< in the order of the files
    std::vector<std::string> errors;  ///< one line each, with file and line; when there are any, nothing may be written
    std::vector<std::string> warnings;
    std::string emptiness;  ///< which directory has no manifest in it, if that is why there are no objects
};

/// Of files of manifests, and of whole datastores.
inline constexpr std::uintmax_t kLargestFile = std::uintmax_t{64} << 20U;
inline constexpr std::uintmax_t kLargestDump = std::uintmax_t{1} << 30U;

/// A file's content, or standard input for "-".
[[nodiscard]] Result<std::string> read_text(const Context& context, const std::string& path, std::uintmax_t limit);

/// The files that the paths name, directories opened up.
[[nodiscard]] Result<std::vector<std::string>> input_files(const InputOptions& options);

/// What the files are read for.
enum class Purpose : std::uint8_t {
    write,  ///< everything is decoded and validated before anything is done: a file with one error changes nothing
    name,   ///< the files only name stored objects; their other content is ignored
};
[[nodiscard]] Input read_input(const Context& context, const InputOptions& options, Purpose purpose = Purpose::write);

/// Tells what is wrong with the input; nothing when the work may begin. `outcome`: what that means for the user.
[[nodiscard]] std::optional<ExitCode> refuse_input(const Context& context, const Input& input, bool skip_empty,
                                                   std::string_view outcome = "nothing was changed");

/// Rank of a kind for writing: what others refer to comes first (tiers before policies, pools before blocks).
[[nodiscard]] int dependency_rank(model::Kind kind) noexcept;

}  // namespace manul::ctl
