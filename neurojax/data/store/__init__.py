"""Session folders and datasets on disk, opened with distrust."""
