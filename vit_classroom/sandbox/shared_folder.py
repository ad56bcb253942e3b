"""A folder that the grader shares with a sandbox, which may put anything into it."""

import os
import stat


class SharedFolder:
    """A folder by its descriptor: plain files by name, and no link is ever followed."""

    def __init__(self, descriptor: int):
        self.descriptor = descriptor

    def write(self, name: str, data: bytes) -> None:
        """Write whole: the sandbox sees the file under this name when it is complete."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(name + ".part", flags, 0o644, dir_fd=self.descriptor), "wb") as file:
            file.write(data)
        os.rename(name + ".part", name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def read(self, name: str, most: int) -> bytes | None:
        """The bytes of a plain file, or None: for no such file, a link, a pipe, or more than `most`
        bytes."""
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(name, flags, dir_fd=self.descriptor)
        except OSError:
            return None
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > most:
                return None
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(most + 1)
        finally:
            os.close(descriptor)
        return data if len(data) <= most else None
