#include "base/read_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace fs = std::filesystem;

using manul::read_file;

namespace {

struct Directory {
    Directory() { fs::create_directories(path); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    ~Directory() { fs::remove_all(path); }

    fs::path path = fs::temp_directory_path() / ("manul-read-file-" + std::to_string(::getpid()));
};

}  // namespace

TEST_CASE("a file is read as it is, up to the limit") {
    const Directory directory;
    const std::string path = directory.path / "file";
    const std::string content = std::string(std::size_t{1} << 20U, 'x') + std::string("\0\xff\n", 3);
    std::ofstream(path, std::ios::binary) << content;
    CHECK(read_file(path) == content);
    CHECK(read_file(path, content.size()) == content);
    CHECK(read_file(path, std::size_t{1} << 20U).error().message == path + ": larger than 1 MiB");
    std::ofstream(path, std::ios::trunc).close();
    CHECK(read_file(path) == std::string());
}

TEST_CASE("a pipe is read to its end") {
    const Directory directory;
    const std::string path = directory.path / "pipe";
    REQUIRE(::mkfifo(path.c_str(), S_IRUSR | S_IWUSR) == 0);
    const std::jthread writer([&] { std::ofstream(path) << "kind: IPPool\n"; });
    CHECK(read_file(path) == "kind: IPPool\n");
}

TEST_CASE("what cannot be read is an error that says why") {
    const Directory directory;
    const std::string path = directory.path;
    CHECK(read_file(path).error().message == path + ": Is a directory");
    CHECK(read_file(path + "/absent").error().message == path + "/absent: No such file or directory");
}
