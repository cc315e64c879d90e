// SPDX-License-Identifier: Apache-2.0
#include "collector/launcher.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "collector/errno_status.h"

namespace socktale {
namespace {

constexpr int kRead[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP,    SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT,
                         SIGCHLD, SIGALRM, SIGPROF, SIGVTALRM, SIGXCPU, SIGIO,   SIGPWR};
constexpr int kChanged[] = {SIGPIPE, SIGXFSZ, SIGCHLD};

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

absl::StatusOr<SignalGuard> SignalGuard::Install() {
  SignalGuard guard;
  sigset_t read;
  sigemptyset(&read);
  for (const int signal : kRead) sigaddset(&read, signal);
  if (sigprocmask(SIG_BLOCK, &read, &guard.caller_mask_) != 0) return ErrnoStatus("sigprocmask");
  for (const int signal : kChanged) {
    struct sigaction action = {}, before;
    action.sa_handler = signal == SIGCHLD ? SIG_DFL : SIG_IGN;
    if (sigaction(signal, &action, &before) != 0) return ErrnoStatus("sigaction");
    guard.caller_actions_.emplace_back(signal, before);
  }
  guard.fd_.reset(signalfd(-1, &read, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!guard.fd_.valid()) return ErrnoStatus("signalfd");
  return guard;
}

void SignalGuard::Restore() const {
  for (const auto& [signal, action] : caller_actions_) sigaction(signal, &action, nullptr);
  sigprocmask(SIG_SETMASK, &caller_mask_, nullptr);
}

int SignalGuard::Next(siginfo_t* info) {
  signalfd_siginfo read_info;
  if (read(fd_.get(), &read_info, sizeof read_info) != sizeof read_info) return 0;
  *info = {};
  info->si_signo = static_cast<int>(read_info.ssi_signo);
  info->si_code = read_info.ssi_code;
  info->si_pid = static_cast<pid_t>(read_info.ssi_pid);
  info->si_uid = read_info.ssi_uid;
  return info->si_signo;
}

bool SignalGuard::CallerIgnores(int signal) const {
  const auto found = std::find_if(caller_actions_.begin(), caller_actions_.end(),
                                  [signal](const auto& entry) { return entry.first == signal; });
  struct sigaction action;
  if (found != caller_actions_.end()) {
    action = found->second;
  } else if (sigaction(signal, nullptr, &action) != 0) {
    return false;
  }
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
}

absl::Status OccupyStandardDescriptors() {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) return ErrnoStatus("/dev/null");
  } while (fd <= STDERR_FILENO);
  close(fd);
  return absl::OkStatus();
}

void CloseInherited() {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir("/proc/self/fd"), closedir);
  std::vector<int> inherited;
  while (const dirent* entry = entries == nullptr ? nullptr : readdir(entries.get())) {
    int fd;
    if (!absl::SimpleAtoi(entry->d_name, &fd) || fd <= STDERR_FILENO) continue;
    if (const int flags = fcntl(fd, F_GETFD); flags >= 0 && (flags & FD_CLOEXEC) == 0) inherited.push_back(fd);
  }
  for (const int fd : inherited) close(fd);
}

absl::StatusOr<Launched> Launch(const std::string& path, const std::vector<std::string>& argv,
                                const std::vector<std::string>& environment, const SignalGuard& signals) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus("pipe2");
  const UniqueFd result(ends[0]);
  UniqueFd report(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus("cannot start another process");
  if (pid == 0) {
    signals.Restore();
    const int error = Execute(path, argv, environment);
    ssize_t told;
    do {
      told = write(report.get(), &error, sizeof error);
    } while (told < 0 && errno == EINTR);
    _exit(127);
  }
  report.reset();
  Launched launched = {.pid = pid, .exec_error = 0};
  int error;
  ssize_t n;
  do {
    n = read(result.get(), &error, sizeof error);  // nothing comes when exec succeeds: it closes the other end
  } while (n < 0 && errno == EINTR);
  if (n == sizeof error) {
    launched.exec_error = error;
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  return launched;
}

namespace {

// execve without libc, whose execve() and syscall() may be a shim's: when this process is itself being recorded, that
// would put the outer session's settings back, and the inner recording would stay empty. Returns minus the error.
long AskKernelToExecute(const char* path, char* const* argv, char* const* envp) {
#if defined(__x86_64__)
  long result = SYS_execve;
  asm volatile("syscall" : "+a"(result) : "D"(path), "S"(argv), "d"(envp) : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long number asm("x8") = SYS_execve;
  register long result asm("x0") = reinterpret_cast<long>(path);
  register long second asm("x1") = reinterpret_cast<long>(argv);
  register long third asm("x2") = reinterpret_cast<long>(envp);
  asm volatile("svc 0" : "+r"(result) : "r"(number), "r"(second), "r"(third) : "memory");
  return result;
#else
#error "how does this processor call its kernel?"
#endif
}

}  // namespace

int Execute(const std::string& path, const std::vector<std::string>& argv,
            const std::vector<std::string>& environment) {
  const std::vector<char*> envp = Pointers(environment);
  const auto exec = [&envp](const std::string& file, const std::vector<std::string>& words) {
    return static_cast<int>(-AskKernelToExecute(file.c_str(), Pointers(words).data(), envp.data()));
  };
  const int error = exec(path, argv);
  if (error != ENOEXEC) return error;
  std::vector<std::string> words = {"sh", path};
  words.insert(words.end(), argv.begin() + 1, argv.end());
  return exec("/bin/sh", words);
}

std::vector<std::string> EnvironmentWith(const std::vector<std::string>& settings) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const absl::string_view text = *entry;
    const bool replaced = std::any_of(settings.begin(), settings.end(), [text](const std::string& setting) {
      return absl::StartsWith(text, absl::string_view(setting).substr(0, setting.find('=') + 1));
    });
    if (!replaced) environment.emplace_back(text);
  }
  environment.insert(environment.end(), settings.begin(), settings.end());
  return environment;
}

}  // namespace socktale
