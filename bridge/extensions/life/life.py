"""Which extensions there are, and what becomes of that as their directories change."""

import asyncio

from ...inotify import Inotify
from ...watcher import CannotWatch, Wanted, open_watcher
from ..places import Places
from ..process.launcher import CannotStart
from .extension import Extension, Unavailable
from .found import directories_in, find, ignored
from .on_disk import Found
from .parts import Parts
from .settings import Setting

QUIET_SECONDS = 0.3
"""Changes that follow one another faster than this are taken together."""
LONGEST_SECONDS = 5.0


class Life:
    """The extensions by name. `run` keeps them up to date."""

    def __init__(self, parts: Parts) -> None:
        self.extensions: dict[str, Extension] = {}
        self._parts = parts
        self._looking = asyncio.Lock()
        self._looks = 0
        self._acted_on = 0
        self._began = False
        self._starting: set[asyncio.Task[None]] = set()
        self._ending: dict[asyncio.Task[None], Extension] = {}
        """Those that were removed, and are not done yet."""

    async def look_at_once(self) -> None:
        """See what has come or gone, for whoever asks before that is noticed. A change waits until it is whole."""
        try:
            found = await self._seen()
        except OSError as error:  # what is known goes on
            self._parts.log.error("look", what=str(error))
            return
        self._come_and_gone(found, settled=False)

    async def look(self) -> None:
        """See what lies on disk, and act on it."""
        async with self._looking:
            found = await self._seen()
            self._come_and_gone(found)
            for name, each in found.items():
                known = self.extensions.get(name)
                if known is None or known.found == each:  # it may have gone meanwhile
                    continue
                self._note_version(each)
                await known.use(each)
                if self._began:
                    self.start_if_always(known)

    async def _seen(self) -> dict[str, Found]:
        """What lies on disk, seen no earlier than what was acted on last. Nothing is to be waited for before it is."""
        while True:
            self._looks += 1
            number = self._looks
            places = self._parts.places
            found = await asyncio.to_thread(find, places.data, places.alone, self._known(), self._failing)
            if number > self._acted_on:
                self._acted_on = number
                return found

    def _known(self) -> list[Found]:
        return [extension.found for extension in self.extensions.values()]

    def _failing(self, error: OSError) -> None:
        """From any thread."""
        self._parts.log.error("look", what=str(error))

    def _come_and_gone(self, found: dict[str, Found], *, settled: bool = True) -> None:
        for name in self.extensions.keys() - found.keys():
            gone = self.extensions.pop(name)
            self._parts.log.info("extension-removed", extension=name)
            ending = asyncio.get_running_loop().create_task(gone.finish())
            self._ending[ending] = gone
            ending.add_done_callback(self._ending.pop)
        for name, each in found.items():
            if name in self.extensions or (each.broken and not settled):
                continue
            self._note_version(each)
            ends = [ending for ending, gone in self._ending.items() if gone.name == name]
            known = self.extensions[name] = Extension(each, self._parts, ends)
            self._parts.log.info("extension-found", extension=name, version=each.version, path=each.path)
            if self._began:
                self.start_if_always(known)

    async def open_those_with_alerts(self) -> None:
        """Alerts are looked at, and listed, from the start of the host on, whether their extension runs or not."""
        for extension in list(self.extensions.values()):
            if self.extensions.get(extension.name) is not extension:  # removed meanwhile
                continue
            if extension.bench is None and self._parts.has_metrics(extension.name):
                try:
                    await extension.open()
                except (CannotStart, OSError) as error:
                    self._parts.log.error("alerts", extension=extension.name, what=str(error))

    def _note_version(self, found: Found) -> None:
        setting = self._parts.settings[found.name]
        # What cannot be read is left as it is until the user decides.
        if found.broken or setting.version == found.version or self._parts.settings.problem(found.name):
            return
        try:
            self._parts.settings.put(found.name, Setting(setting.enabled, setting.consent, found.version))
        except OSError as error:  # it is noted at the next look: nobody must miss an extension for that
            self._parts.log.error("settings", what=str(error))
            return
        if setting.version:
            self._parts.audit.write(
                found.name,
                {"name": "extension"},
                "version",
                "extension",
                found.name,
                {"from": setting.version, "to": found.version},
                ours=True,
            )

    async def start_always(self) -> None:
        """Start those that are to run with the host, and from now on those that join them."""
        self._began = True
        for extension in list(self.extensions.values()):
            if extension.found.always:
                await self._start(extension)

    def start_if_always(self, extension: Extension) -> None:
        """It was found, changed or enabled while the host runs."""
        if extension.found.always and extension.may_run:
            starting = asyncio.get_running_loop().create_task(self._start(extension))
            self._starting.add(starting)
            starting.add_done_callback(self._starting.discard)

    async def _start(self, extension: Extension) -> None:
        try:
            await extension.running()
        except Unavailable as why:
            self._parts.log.warning("not-started", extension=extension.name, why=why.message)

    async def run(self) -> None:
        """Watch, and look again after each change. Returns, with a line logged, if nothing can watch."""
        try:
            inotify = Inotify(asyncio.get_running_loop(), self._parts.limits.watched_directories)
            watcher = await open_watcher(inotify)
        except CannotWatch as error:
            self._parts.log.warning("not-watched", why=str(error))
            return
        with watcher:
            while True:
                left_out = watcher.cover(await asyncio.to_thread(_places, self._parts.places, self._known()))
                if left_out:
                    self._parts.log.limit("watched_directories", self._parts.limits.watched_directories)
                await self.look()  # something may have changed before it was watched
                await watcher.changed()
                await watcher.quiet(QUIET_SECONDS, LONGEST_SECONDS)

    def close(self) -> None:
        for extension in (*self.extensions.values(), *self._ending.values()):
            extension.close()


def _places(places: Places, known: list[Found]) -> dict[str, Wanted]:
    wanted: dict[str, Wanted] = dict.fromkeys(places.data, _matters)
    inner = [found.path for directory in places.data for found in find([directory], before=known).values()]
    for path in (*places.alone, *inner):
        wanted.update(dict.fromkeys(directories_in(path), _matters))
    return wanted


def _matters(name: str) -> bool:
    return not ignored(name)
