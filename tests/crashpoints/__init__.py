"""Crash points in the real process: at every journal append and every external effect the controller is killed or frozen.

`points` names them and strikes, `controller` is `failover run` with its ports watched, `cycle` loses a lab's region and
fails back around one of them, `__main__` is `make crashpoints`.
"""
