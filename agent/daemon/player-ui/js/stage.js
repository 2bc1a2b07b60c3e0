/* One item on the whole screen: its title, its viewer, and a dock with back, the viewer's tools, previous, next.
   A viewer is made once and stays until the teacher leaves, whatever happens to the shelf meanwhile. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

  /* By kind: function ({lesson, item, index, fail}) → {el, tools, seek?, immersive?, mounted?, key?, destroy?}. */
  BBT.viewers = {};

  BBT.itemView = function (id, index) {
    var el = h('div', { 'class': 'view view-item' });
    var tools = h('div', { 'class': 'dock-middle' });
    var steps = h('div', { 'class': 'dock-end' });
    var back = BBT.button({
      icon: 'back', text: t('item.back'), 'class': 'button-back',
      onclick: function () { BBT.back('#/lesson/' + encodeURIComponent(id)); }
    });
    var stage = { el: el, dock: [back, tools, steps], immersive: false };
    var viewer = null;

    function step(lesson, to, icon, key) {
      var there = lesson.items[to];
      var button = BBT.button({
        icon: icon, text: t(key), 'class': 'button-step button-' + icon,
        onclick: function () { BBT.go(BBT.itemHash(id, to), true); }
      });
      button.disabled = !there;
      if (there) { button.setAttribute('title', there.title); }
      return button;
    }

    function unmount() {
      if (viewer && viewer.destroy) { viewer.destroy(); }
      viewer = null;
      BBT.empty(tools);
      BBT.empty(steps);
      BBT.empty(el);
      [].forEach.call(document.querySelectorAll('.dock > .seek'), function (old) { old.parentNode.removeChild(old); });
    }

    function fail(text) {
      var area = el.querySelector('.stage');
      if (!area) { return; }
      area.appendChild(h('div', { 'class': 'stage-fail' }, [BBT.message({
        icon: 'warn', 'class': 'message-failed', title: t('item.failed_title'), text: text || t('item.failed_text'),
        button: BBT.button({
          icon: 'again', text: t('item.retry'), 'class': 'button-primary',
          onclick: function () { unmount(); build(); }
        })
      })]));
    }

    function build() {
      var lesson = BBT.data.lesson(id);
      var item, kind;
      if (!lesson || lesson.state !== 'ready' || !lesson.items || !lesson.items[index]) {
        el.appendChild(BBT.data.gone(id) || lesson
          ? BBT.message({ icon: 'search', title: t('lesson.gone_title'), text: t('lesson.gone_text') })
          : BBT.message({ icon: 'book', title: t('shelf.loading') }));
        return;
      }
      item = lesson.items[index];
      kind = BBT.viewers[item.kind] ? item.kind : 'other';
      viewer = BBT.viewers[kind]({ lesson: lesson, item: item, index: index, fail: fail, hasNext: !!lesson.items[index + 1],
        next: function () { BBT.go(BBT.itemHash(id, index + 1), true); } });
      el.appendChild(h('div', { 'class': 'item-strip' }, [
        h('span', { 'class': 'item-strip-title', text: item.title }),
        h('span', { 'class': 'item-strip-lesson', text: BBT.titleOf(lesson) }),
        h('span', { 'class': 'item-strip-count', text: t('item.position', { n: index + 1, total: lesson.items.length }) })
      ]));
      el.appendChild(h('div', { 'class': 'stage stage-' + kind }, [viewer.el]));
      if (viewer.seek && back.parentNode) { back.parentNode.insertBefore(viewer.seek, back.parentNode.firstChild); }
      if (viewer.seek && !back.parentNode) { stage.dock.unshift(viewer.seek); }
      (viewer.tools || []).forEach(function (tool) { tools.appendChild(tool); });
      steps.appendChild(step(lesson, index - 1, 'previous', 'item.previous'));
      steps.appendChild(step(lesson, index + 1, 'next', 'item.next'));
      BBT.toggle(document.body, 'immersive', viewer.immersive);
      stage.immersive = viewer.immersive;
      if (el.parentNode && viewer.mounted) { viewer.mounted(); }
    }

    stage.mounted = function () { if (viewer && viewer.mounted) { viewer.mounted(); } };
    stage.update = function () {
      if (!viewer) { BBT.empty(el); build(); }
    };
    stage.key = function (event) { return viewer && viewer.key ? viewer.key(event) : false; };
    stage.destroy = unmount;
    build();
    return stage;
  };
}());
