// Loaded into a daemon under test (LD_PRELOAD): its time of day is so many seconds ahead of the machine's as the file
// MANUL_CLOCK_OFFSET says at that moment. Clocks that only run on are as they are.
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <ctime>

namespace {

time_t offset() {
    const char* const path = std::getenv("MANUL_CLOCK_OFFSET");  // NOLINT(concurrency-mt-unsafe): nobody sets it
    const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
    std::array<char, 32> text{};
    const bool got = fd >= 0 && ::read(fd, text.data(), text.size() - 1) > 0;
    if (fd >= 0) {
        ::close(fd);
    }
    return got ? std::strtol(text.data(), nullptr, 10) : 0;
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* out) noexcept {
    const auto result = static_cast<int>(::syscall(SYS_clock_gettime, clock, out));
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        out->tv_sec += offset();
    }
    return result;
}

extern "C" time_t time(time_t* out) noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    if (out != nullptr) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

extern "C" int gettimeofday(timeval* out, void* /*zone*/) noexcept {
    timespec now{};
    const int result = ::clock_gettime(CLOCK_REALTIME, &now);
    *out = {now.tv_sec, now.tv_nsec / 1000};
    return result;
}
