# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The menus of a simulated phone (R19, R31, R32)."""

from __future__ import annotations

from enum import StrEnum

from capf_lab.phone import Phone

UNLOCK = "**#"


class Screen(StrEnum):
    """The screens of a phone."""

    HOME = "Home"
    SETTINGS = "Settings"
    SECURITY = "Security Configuration"
    LSC = "LSC"
    PROMPT = "Authentication String"
    CTL = "CTL File"
    MODEL = "Model Information"


_WAYS = {
    (Screen.HOME, "Settings"): Screen.SETTINGS,
    (Screen.SETTINGS, "Security Configuration"): Screen.SECURITY,
    (Screen.SETTINGS, "Model Information"): Screen.MODEL,
    (Screen.SECURITY, "LSC"): Screen.LSC,
    (Screen.SECURITY, "CTL File"): Screen.CTL,
}


class Menus:
    """The user of a phone. ``press`` accepts a key, a menu entry, a softkey, or digits at the prompt."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._screen = Screen.HOME
        self._unlocked = False
        self._typed = ""

    def press(self, key: str) -> str:
        """Press one key; return what the phone then shows."""
        if key == "Stop":
            self._phone.stop()
        elif key == UNLOCK:
            self._unlocked = True
        elif self._screen is Screen.PROMPT:
            self._prompt(key)
        elif (self._screen, key) == (Screen.LSC, "Update"):
            self._update()
        elif (self._screen, key) == (Screen.CTL, "Erase"):
            self._erase()
        else:
            self._screen = _WAYS.get((self._screen, key), self._screen)
        return self.show()

    def _update(self) -> None:
        """Open the prompt if the settings are unlocked and the phone asks for a string."""
        if self._unlocked and self._phone.waits_for_string:
            self._screen, self._typed = Screen.PROMPT, ""

    def _erase(self) -> None:
        """Delete the CTL file if the settings are unlocked (R19)."""
        if self._unlocked:
            self._phone.flash.delete_ctl()

    def _prompt(self, key: str) -> None:
        if key == "Submit":
            self._phone.enter_string(self._typed)
            self._screen = Screen.LSC
        else:
            self._typed += key

    def show(self) -> str:
        """Return the text on the phone's screen."""
        if self._screen is Screen.MODEL:
            return f"LSC: {'Installed' if self._phone.flash.has_lsc else 'Not Installed'}"
        if self._screen is Screen.PROMPT:
            return "Authentication String: " + "*" * len(self._typed)
        lock = "" if self._unlocked else " (locked)"
        if self._screen is Screen.CTL:
            return f"CTL File{lock}: {'Not Installed' if self._phone.flash.ctl is None else 'Installed'}"
        if self._screen is Screen.LSC:
            return f"LSC{lock}: {self._phone.message}"
        return self._screen.value
